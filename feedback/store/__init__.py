"""The store: an append-only log of events, its projections, and the service's own data."""

from feedback.store.log.projections import AnnotatorCounts
from feedback.store.repositories.cases import CaseEvent, CaseRow
from feedback.store.repositories.decisions import CurrentDecision, Decision
from feedback.store.repositories.indicators import IndicatorValue
from feedback.store.repositories.overrides import OverrideCount, OverrideRow
from feedback.store.repositories.review_projects import ReviewProjectRow
from feedback.store.repositories.reviews import ReviewRow
from feedback.store.repositories.sessions import SessionRow
from feedback.store.repositories.signals import NewestSignal, Signal
from feedback.store.repositories.votes import OverlapVote
from feedback.store.repositories.windows import QueueCounts
from feedback.store.rows import (
    AnnotationVersion,
    ErasureResult,
    InboxStatus,
    JobClaim,
    ProjectRow,
    Record,
    Skip,
    TaskRow,
    Vote,
    WindowRow,
)
from feedback.store.store import Store, open_store
from feedback.store.tables.personal_data import DataSubject

__all__ = [
    "AnnotationVersion",
    "AnnotatorCounts",
    "CaseEvent",
    "CaseRow",
    "CurrentDecision",
    "DataSubject",
    "Decision",
    "ErasureResult",
    "InboxStatus",
    "IndicatorValue",
    "JobClaim",
    "NewestSignal",
    "OverlapVote",
    "OverrideCount",
    "OverrideRow",
    "ProjectRow",
    "QueueCounts",
    "Record",
    "ReviewProjectRow",
    "ReviewRow",
    "SessionRow",
    "Signal",
    "Skip",
    "Store",
    "TaskRow",
    "Vote",
    "WindowRow",
    "open_store",
]
