"""The demo: a real Label Studio, a running service, and three people who annotate."""
