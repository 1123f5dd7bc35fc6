"""Pages for people: what the service does in each project, who may see it, and the few things they may set going."""

from __future__ import annotations

from feedback.dashboard.authentication import Manners
from feedback.dashboard.label_studio_login import Accounts, LabelStudioAccounts
from feedback.dashboard.login_attempts import SharedAttempts
from feedback.dashboard.pages import House, pages

__all__ = ["Accounts", "House", "LabelStudioAccounts", "Manners", "SharedAttempts", "pages"]
