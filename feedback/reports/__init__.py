"""Reports as plain records: agreement, people, reviews, and the status of each project."""
