"""The processes: web, worker and their supervisor, put together in one composition root."""
