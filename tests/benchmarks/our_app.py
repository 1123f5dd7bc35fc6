"""Our web half as `hitl serve` composes it, over the store in HITL_DATA_DIR; gunicorn calls `create`."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

from feedback.store import open_store
from feedback.webhooks import Webhook
from ml_backend.app import Metrics, create_app
from ml_backend.app.wsgi import settle
from ml_backend.predictor import Predictor


def create() -> Flask:
    """The app of one worker."""
    store = open_store(store_url(Path(os.environ["HITL_DATA_DIR"])))
    metrics = Metrics()
    webhook = Webhook(store)
    predictor = Predictor(store.registry, count=metrics.count)
    return settle(create_app(predictor, webhook=webhook, job_status=webhook.job_status, metrics=metrics))


def store_url(folder: Path) -> str:
    """Where this benchmark keeps its store."""
    return f"sqlite:///{folder / 'hitl.sqlite3'}"
