"""One project: how it is connected, and the snapshot of its tasks, splits and votes that a turn works on."""
