"""Features of texts, images and indicators, cached by content."""
