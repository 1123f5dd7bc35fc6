"""The client of Label Studio: requests, and records of what it answers."""
