"""The processes: web, worker and their supervisor, and the composition root that makes what they share."""
