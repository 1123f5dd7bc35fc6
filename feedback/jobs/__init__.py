"""Jobs: durable job rows, each run by one worker under a lease, and how a waiting worker is woken."""
