"""What a model sees of a task: numbers computed once from its content, and remembered by it."""
