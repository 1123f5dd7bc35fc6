"""What the model says: codecs, features, models, the registry and everything that speaks Label Studio."""
