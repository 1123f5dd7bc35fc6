"""Routing: which rule of the policy each task meets, recorded with the inputs of the decision."""
