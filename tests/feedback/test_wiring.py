"""What is composed from settings, and what is left alone until somebody needs it."""

from __future__ import annotations

from pathlib import Path

from feedback.settings import read_settings
from feedback.wiring import loop_of, opened


def test_a_loop_makes_no_webhook_secret_where_nobody_has_connected_anything(tmp_path: Path):
    """A secret in the store shuts the door to webhooks without it: only `hitl connect` may make one."""
    environ = {"HITL_DATA_DIR": str(tmp_path), "LABEL_STUDIO_URL": "http://127.0.0.1:1", "LABEL_STUDIO_API_KEY": "x"}
    for given in (environ, {"HITL_DATA_DIR": str(tmp_path)}):
        settings = read_settings(given)
        with opened(settings) as store:
            loop_of(settings, store)

            assert store.find_secret("webhook") is None
