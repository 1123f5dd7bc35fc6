"""Erasure and subject access, over the one list in `feedback.store.tables.personal_data`."""
