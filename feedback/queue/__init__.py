"""The queue: which tasks the next window holds, and in which order."""
