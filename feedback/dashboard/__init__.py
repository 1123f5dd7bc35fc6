"""The web pages: figures of each project for those who may see them, and a few actions."""

from __future__ import annotations

from feedback.dashboard.authentication import AccessSettings
from feedback.dashboard.label_studio_login import Accounts, LabelStudioAccounts
from feedback.dashboard.login_attempts import SharedAttempts
from feedback.dashboard.pages import DashboardConfig, pages

__all__ = ["Accounts", "DashboardConfig", "LabelStudioAccounts", "AccessSettings", "SharedAttempts", "pages"]
