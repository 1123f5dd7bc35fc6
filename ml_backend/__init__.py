"""The ML backend: features, models, their registry, the HTTP app, and the client of Label Studio."""
