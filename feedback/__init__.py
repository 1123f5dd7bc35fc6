"""What people taught us: the store, the loop that learns from it, and the processes that run it."""
