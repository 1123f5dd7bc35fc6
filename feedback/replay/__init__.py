"""Replays: a finished project asked again in another order, to measure what the order is worth."""
