"""Automation: from which confidence on the model may decide alone, and what proves it."""
