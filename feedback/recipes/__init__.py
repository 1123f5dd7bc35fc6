"""Recipes: folders of data from which a project starts; what `hitl new` creates and `hitl demo` plays."""
