"""Everything that comes in: webhooks, polling, full syncs and signals, read into the event log."""
