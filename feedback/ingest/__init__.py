"""What comes in: webhooks, polls, full syncs and signals are read into the event log."""
