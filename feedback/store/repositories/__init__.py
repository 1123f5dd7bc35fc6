"""One repository for each kind of row: votes, tasks, cases, models and so on."""
