"""What gunicorn calls in each worker, after the fork: the application from the environment's settings."""

from __future__ import annotations

from flask import Flask

from feedback.wiring import application, settings_from_environment
from ml_backend.app.wsgi import settle


def create() -> Flask:
    """Make the application; gunicorn's `feedback.wsgi:create()`."""
    return settle(application(settings_from_environment()))
