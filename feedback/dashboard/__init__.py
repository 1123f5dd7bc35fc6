"""The web pages: figures of each project for those who may see them, and a few actions."""

from __future__ import annotations

from feedback.dashboard.authentication import AccessSettings
from feedback.dashboard.login_attempts import SharedAttempts
from feedback.dashboard.pages import DashboardConfig, pages
from feedback.dashboard.sign_in import LabelStudioAccounts

__all__ = ["AccessSettings", "DashboardConfig", "LabelStudioAccounts", "SharedAttempts", "pages"]
