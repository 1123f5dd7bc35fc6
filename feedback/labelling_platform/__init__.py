"""The port to Label Studio: its interface, its adapter, and what we restore or delete there."""
