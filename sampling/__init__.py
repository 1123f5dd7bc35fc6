"""What to ask next: arrays in, order out; imports nothing of ours."""
