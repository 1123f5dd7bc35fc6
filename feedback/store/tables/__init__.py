"""The tables, and where personal data stands in them."""
