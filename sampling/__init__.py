"""Choose the tasks that people should label next: arrays in, order out. Imports no other package of ours."""
