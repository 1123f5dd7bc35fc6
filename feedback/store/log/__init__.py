"""The append-only event log, and the projections derived from it."""
