"""From answers to a serving model: roles, dataset, training, judgement, and the next window to ask."""
