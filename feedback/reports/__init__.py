"""What is measured, as plain records: agreement, and where each project stands."""
