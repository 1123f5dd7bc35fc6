"""The store: an append-only log of events, its projections, and the service's own data."""

from feedback.store.database.drivers import describe_store
from feedback.store.log.event_erasure import ErasureResult
from feedback.store.log.inbox import InboxStatus
from feedback.store.log.projections import AnnotatorCounts
from feedback.store.repositories.annotations import Skip
from feedback.store.repositories.cases import BlindCases, CaseFilter
from feedback.store.repositories.event_queries import AnnotationVersion
from feedback.store.repositories.jobs import JobClaim, JobRow
from feedback.store.repositories.reviews import OverrideCount
from feedback.store.repositories.signals import NewestSignal
from feedback.store.repositories.tasks import TaskRow
from feedback.store.repositories.windows import QueueCounts
from feedback.store.store import Store, open_store
from feedback.store.tables.main_tables import (
    Heartbeat,
    ProjectRow,
    Record,
    SessionRow,
    UncountedAnswer,
    Vote,
    WebhookArrival,
    WindowRow,
)
from feedback.store.tables.personal_data import DataSubject
from feedback.store.tables.review_tables import (
    CaseEvent,
    CaseRow,
    OverrideRow,
    ReviewProjectRow,
    ReviewRow,
    urgency,
)
from feedback.store.tables.routing_tables import CurrentDecision, Decision, IndicatorValue, Signal

__all__ = [
    "AnnotationVersion",
    "AnnotatorCounts",
    "BlindCases",
    "CaseEvent",
    "CaseFilter",
    "CaseRow",
    "CurrentDecision",
    "DataSubject",
    "Decision",
    "ErasureResult",
    "Heartbeat",
    "InboxStatus",
    "IndicatorValue",
    "JobClaim",
    "JobRow",
    "NewestSignal",
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
    "UncountedAnswer",
    "Vote",
    "WebhookArrival",
    "WindowRow",
    "describe_store",
    "open_store",
    "urgency",
]
