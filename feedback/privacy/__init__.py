"""Erasure and subject access: one list of where personal data stands."""
