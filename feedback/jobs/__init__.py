"""Running what is wanted: a lease over work rows, and the doorbell that wakes workers."""
