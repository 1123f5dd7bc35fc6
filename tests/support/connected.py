"""What a loop around a project of a real Label Studio is made of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from feedback.loop.turn import Loop
from feedback.settings import Settings
from feedback.store import Store
from feedback.training.model_factory import ModelFactory
from ml_backend.registry import FolderRegistry
from tests.support.label_studio import Site, StubBackend


def settings_of(site: Site, backend: StubBackend) -> Settings:
    """The settings of a service that Label Studio reaches at the stub."""
    return Settings(
        label_studio_url=site.url,
        label_studio_api_key=site.process.admin.token,
        public_url=backend.url,
        webhook_secret="a-secret-of-ours",
    )


def loop_of(store: Store, folder: Path, **more: Any) -> Loop:
    """The loop, by the real clock, without a worker around it."""
    return Loop(
        store,
        model_factory=ModelFactory(lambda: ()),
        folder=FolderRegistry(folder),
        clock=time.time,
        **more,
    )
