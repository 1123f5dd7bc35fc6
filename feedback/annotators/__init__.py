"""Figures about each person: accuracy, distance from others, speed, anchoring; gold tasks and pseudonyms."""
