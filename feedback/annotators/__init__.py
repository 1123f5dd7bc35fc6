"""What is known of each person: how reliable, how fast, how swayed; never a ranking without intervals."""
