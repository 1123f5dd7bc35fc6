"""The database: engine, drivers, group commit, prepared statements and backups."""
