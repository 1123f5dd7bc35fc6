"""The store: an append-only log of events, what is projected from it, and what the service itself remembers."""

from feedback.store.repositories.case_rows import CaseEvent, CaseRow, OverrideRow, ReviewRow
from feedback.store.repositories.decisions import Decision, Standing
from feedback.store.repositories.indicators import IndicatorValue
from feedback.store.repositories.overrides import OverrideCount
from feedback.store.repositories.projects import ProjectCounts
from feedback.store.repositories.sessions import SessionRow
from feedback.store.repositories.signals import Newest, Signal
from feedback.store.repositories.votes import CrowdVote
from feedback.store.repositories.windows import QueueCounts
from feedback.store.rows import (
    Appended,
    Checked,
    Forgotten,
    Person,
    Problem,
    ProjectRow,
    Record,
    Skip,
    Stats,
    TaskRow,
    Version,
    Vote,
    Waiting,
    WindowRow,
    Work,
    WorkRow,
)
from feedback.store.store import Store, open_store
from feedback.store.tables.personal_data import Whom

__all__ = [
    "Appended",
    "CaseEvent",
    "CaseRow",
    "Checked",
    "CrowdVote",
    "Decision",
    "Forgotten",
    "IndicatorValue",
    "Newest",
    "OverrideCount",
    "OverrideRow",
    "Person",
    "Problem",
    "ProjectCounts",
    "ProjectRow",
    "QueueCounts",
    "Record",
    "ReviewRow",
    "SessionRow",
    "Signal",
    "Skip",
    "Standing",
    "Stats",
    "Store",
    "TaskRow",
    "Version",
    "Vote",
    "Waiting",
    "Whom",
    "WindowRow",
    "Work",
    "WorkRow",
    "open_store",
]
