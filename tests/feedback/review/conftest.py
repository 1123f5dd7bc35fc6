"""Review is tested on the same two databases as the store."""

from __future__ import annotations

from tests.feedback.store.conftest import clock, opened, server, store, url

__all__ = ["clock", "opened", "server", "store", "url"]
