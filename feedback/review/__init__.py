"""Review: who looks at a task after the model and the first people, by when, and how it ends."""
