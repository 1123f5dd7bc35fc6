"""Replay: simulate a finished project in another queue order, to measure the value of that order."""
