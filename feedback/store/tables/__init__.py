"""The tables, and which of them hold personal data."""
