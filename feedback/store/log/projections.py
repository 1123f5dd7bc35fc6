"""Projections: the state that follows from events; pure functions of the log.

A webhook is a hint, and an API read is the truth. A read overrules everything that was known when it began, by our own
clock: no time that a webhook carried orders it against a read. Only between two webhooks, or where a webhook came after
the read began, does the sender's `updated_at` decide. Events that Label Studio really sent give the same state in any
order; forged or skewed ones give it after the next read.

Label Studio on SQLite reuses ids after a deletion. `created_at` names the lifetime of an id, and the newest lifetime
holds it. A deletion ends the lifetime that was recorded when it arrived, and all earlier ones; if none was recorded,
all that were created until then. A later API read that shows the object overrules its deletion. An erased lifetime
never comes back; a later one is a new object.

Between two bodies of one version the last API read wins, then the richer body, then the larger hash. The store folds
each event as it arrives; a rebuild folds the whole log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import orjson

from feedback.store.database.engine import plain
from feedback.store.log.events import canonical_json, canonical_time
from ml_backend.codecs import decode_result
from ml_backend.labelstudio.parsing import is_own_annotation
from ml_backend.left_out import describe_error

BEYOND_VERSION = frozenset({"unique_id"})  # known to webhooks only: the REST API never shows it
_LONGEST_CONTROL = 500  # characters of a control's name: it is in a key of votes
_OUTLIVES = ("id", "deleted_until", "deleted_s", "erased_until")  # the fields that stay after an erasure
# Values that depend on the source and time of the event: after a lost webhook they stay unknown.
_NEVER_COMPARED = {"project", "seq", "seen_s", "unique_id", "source", "first_at", "last_at"}
_NEVER_COMPARED |= {"known_s", "last_shown_s", "deleted_until", "deleted_s", "erased_until"}


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One event of the log, as a projection folds it."""

    seq: int
    entity_id: int
    version: str  # updated_at; of a deletion: created_at of the life that it ended
    action: str
    seen_s: float
    body: Mapping[str, Any] | None  # None: erased
    received_s: float = 0.0
    rank: str = field(init=False)  # decides between bodies of one version: the number of values, then the hash

    def __post_init__(self) -> None:
        body = {name: value for name, value in (self.body or {}).items() if name not in BEYOND_VERSION}
        answers_by_control = sum(value is not None for value in body.values())
        object.__setattr__(self, "rank", f"{answers_by_control:02d}{hashlib.sha256(canonical_json(body)).hexdigest()}")

    @property
    def known_s(self) -> float:
        """Return when it became known, by our own clock: when the API read began, or when the webhook came."""
        return self.seen_s or self.received_s

    @property
    def until(self) -> str:
        """Return the time of a deletion: lifetimes created until then have ended."""
        return self.version or canonical_time_of(self.received_s)  # old logs name no lifetime


@dataclass(slots=True)
class Lifetime:
    """The thing that holds an id now; fields are columns of its row. An id that nothing holds is `is_deleted`."""

    id: int
    seq: int = 0
    seen_s: float = 0.0
    known_s: float = 0.0  # when the event that is shown became known, by our own clock
    version: str = ""
    rank: str = ""
    created_at: str = ""  # names the lifetime; "" if unknown
    last_shown_s: float = 0.0  # when the API last showed this lifetime
    deleted_until: str = ""  # lifetimes created until then were deleted
    deleted_s: float = 0.0  # when that was known; later than every earlier API read
    erased_until: str = ""  # lifetimes created until then were erased
    is_deleted: bool = False
    erased: bool = False

    def fold(self, seen: LoggedEvent) -> None:
        """Apply one event."""
        if seen.action == "erased":
            self.erased_until = max(self.erased_until, seen.until)
        if seen.action != "saved":
            self.deleted_until = max(self.deleted_until, seen.until)
            self.deleted_s = max(self.deleted_s, seen.seen_s or seen.received_s)
        elif seen.body is not None:
            self._saw(seen, seen.body)
        self.erased = bool(self.erased_until) and self.created_at <= self.erased_until
        if self.erased:
            self._clear()
        self.is_deleted = self.erased or (
            bool(self.deleted_until) and self.created_at <= self.deleted_until and self.last_shown_s <= self.deleted_s
        )

    def changes_lifetime(
        self, action: str, version: str, seen_s: float, body: Mapping[str, Any], *, named: bool
    ) -> bool | None:
        """Return whether an event changes which lifetime holds the number, or whether it is deleted; None: neither.

        `named`: the deletion names the lifetime it ends; otherwise `version` is the one that was recorded.
        """
        if action == "saved":
            created_at = creation_time(body)
            if self.erased_until and created_at <= self.erased_until:
                return False  # an erasure is final: what Label Studio still shows of it is not stored again
            return True if self.is_deleted and seen_s > self.deleted_s else None
        if action == "erased":
            return not self.erased or version > self.erased_until
        if self.is_deleted:
            return named and version > self.deleted_until
        return version >= self.created_at or version > self.deleted_until

    def is_overruled_by(self, seen_s: float) -> bool:
        """Return whether an API read that began at `seen_s` overrules what is known."""
        return seen_s > self.known_s

    def ends(self, version: str, received_s: float) -> str:
        """Return the lifetime that a deletion ends: the named one, the recorded one, or every one until now."""
        return version or self.created_at or canonical_time_of(received_s)

    def _saw(self, seen: LoggedEvent, body: Mapping[str, Any]) -> None:
        created_at = creation_time(body)
        if self.erased_until and created_at <= self.erased_until:
            return
        is_newest = self._is_newest(seen, created_at)
        if created_at != self.created_at:
            if not is_newest:
                return  # of another lifetime
            self.last_shown_s = 0.0
            self._start_lifetime()
        self.last_shown_s = max(self.last_shown_s, seen.seen_s)
        self._take_any(body)
        if is_newest:
            self.seq, self.seen_s, self.known_s = seen.seq, seen.seen_s, seen.known_s
            self.version, self.rank, self.created_at = seen.version, seen.rank, created_at
            self._take_newest(body)

    def _is_newest(self, seen: LoggedEvent, created_at: str) -> bool:
        if self.is_overruled_by(seen.seen_s):
            return True
        if self.seen_s and not seen.seen_s and seen.received_s <= self.seen_s:
            return False  # a webhook from before the read that is shown
        newest = (self.created_at, self.version, self.seen_s, self.rank)
        return (created_at, seen.version, seen.seen_s, seen.rank) > newest

    def _start_lifetime(self) -> None:
        """Clear the values that `_take_any` took of the lifetime before."""

    def _take_any(self, body: Mapping[str, Any]) -> None:
        """Take the values that any version of this lifetime may set, the newest or not."""

    def _take_newest(self, body: Mapping[str, Any]) -> None:
        """Take the values of the newest version of this lifetime."""

    def _clear(self) -> None:
        """Clear all values after an erasure."""
        blank = type(self)(self.id)
        for item in fields(self):
            if item.name not in _OUTLIVES:
                setattr(self, item.name, getattr(blank, item.name))
        self.is_deleted = self.erased = True


@dataclass(slots=True)
class AnnotationState(Lifetime):
    """One annotation; its fields are the columns of its row."""

    task: int | None = None
    person: int | None = None
    was_cancelled: bool = False
    ground_truth: bool = False
    lead_time_s: float | None = None
    parent_prediction: int | None = None
    unique_id: str | None = None
    source: str = "person"
    problems: str | None = None
    body: Mapping[str, Any] | None = field(default=None, repr=False)  # of the winning event, if it was read
    answer_keys: Mapping[str, str] = field(default_factory=dict, repr=False)  # decoded from it, by control

    def decode_answers(self) -> None:
        """Decode the answers of an annotation from its winning body, if it exists now."""
        self.answer_keys, reasons = ({}, ()) if self.is_deleted or self.body is None else _decoded(self.body)
        self.problems = canonical_json([plain(reason) for reason in reasons]).decode() if reasons else None

    def votes(self) -> list[dict[str, Any]]:
        """Return the rows of the table vote, by control; decode first. Empty for a skip or what is deleted."""
        if self.task is None or (self.person is None and self.source != "import"):
            return []
        shared = {
            "annotation": self.id,
            "task": self.task,
            "person": self.person or 0,  # 0: an import that names nobody
            "version": self.version,
            "created_at": self.created_at,
            "at_s": epoch_s(self.version),
            "lead_time_s": self.lead_time_s,
            "shown": self.parent_prediction,
            "source": self.source,
        }
        return [
            {**shared, "control": control, "answer": self.answer_keys[control]} for control in sorted(self.answer_keys)
        ]

    def counted_work(self) -> tuple[int, str] | None:
        """Return the person and the kind of work (answers or skips) to count; None where nothing counts."""
        if self.is_deleted or self.person is None or self.source != "person":
            return None
        return self.person, "skips" if self.was_cancelled else "answers"

    def _start_lifetime(self) -> None:
        self.unique_id, self.source = None, "person"

    def _take_any(self, body: Mapping[str, Any]) -> None:
        unique_id = body.get("unique_id")
        if isinstance(unique_id, str):
            self.unique_id = max(self.unique_id or "", plain(unique_id))
        if is_own_annotation(self.unique_id):
            self.source = "own"
        elif body.get("imported") and body.get("parent_prediction") is None:
            self.source = "import"  # for ever: after an edit, it looks like an answer of the user who imported it

    def _take_newest(self, body: Mapping[str, Any]) -> None:
        self.body = body
        was_imported = self.source == "import" and self.parent_prediction is None
        if self.source != "own":
            self.source = "import" if body.get("imported") or was_imported else "person"
        self.task, self.person = body.get("task"), body.get("person")
        self.was_cancelled, self.ground_truth = bool(body.get("was_cancelled")), bool(body.get("ground_truth"))
        self.lead_time_s, self.parent_prediction = _seconds(body.get("lead_time_s")), body.get("parent_prediction")


@dataclass(slots=True)
class TaskState(Lifetime):
    """One task; its data are in the table content."""

    content: str = ""
    is_labeled: bool = False
    overlap: int = 1

    def _take_newest(self, body: Mapping[str, Any]) -> None:
        self.content = str(body["content"])
        self.is_labeled, self.overlap = bool(body.get("is_labeled")), _small(body.get("overlap"))


@dataclass(slots=True)
class ProjectState:
    """A project's title and label config."""

    seq: int = 0
    seen_s: float = 0.0
    version: str = ""
    rank: str = ""
    title: str = ""
    label_config: str = ""
    is_deleted: bool = False

    def fold(self, seen: LoggedEvent) -> None:
        """Take one event in."""
        if seen.action != "saved":
            self.is_deleted = True
        elif seen.body is not None and (seen.version, seen.seen_s, seen.rank) > (self.version, self.seen_s, self.rank):
            self.seq, self.seen_s, self.version, self.rank = seen.seq, seen.seen_s, seen.version, seen.rank
            self.title = plain(str(seen.body.get("title") or ""))
            self.label_config = plain(str(seen.body.get("label_config") or ""))


@dataclass(slots=True)
class AnnotatorCounts:
    """The counts of one person's annotations in a project."""

    id: int
    answers: int = 0
    skips: int = 0
    first_at: str = ""
    last_at: str = ""


class PeopleCounts:
    """The persons of a project, counted up and down as annotations change."""

    def __init__(self, states: Mapping[int, AnnotatorCounts] | None = None) -> None:
        self.states: dict[int, AnnotatorCounts] = dict(states or {})

    def note_time(self, seen: LoggedEvent) -> None:
        """Record when a person was active; replaced versions count too, so that order does not matter."""
        person = (seen.body or {}).get("person")
        if seen.action == "saved" and person is not None:
            state = self._state(person)
            state.first_at = min(state.first_at, seen.version) if state.first_at else seen.version
            state.last_at = max(state.last_at, seen.version)

    def count_move(self, before: tuple[int, str] | None, after: tuple[int, str] | None) -> None:
        """Subtract an annotation from its former person and count, and add it to the present ones."""
        if before == after:
            return
        for counted_work, step in ((before, -1), (after, 1)):
            if counted_work is not None:
                person, kind = counted_work
                state = self._state(person)
                setattr(state, kind, getattr(state, kind) + step)

    def _state(self, person: int) -> AnnotatorCounts:
        return self.states.setdefault(person, AnnotatorCounts(person))


def columns(state: AnnotationState | TaskState | ProjectState | AnnotatorCounts) -> dict[str, Any]:
    """Return a state as the columns of its row."""
    return {name: getattr(state, name) for name in _COLUMNS[type(state)]}


def covers(known: Mapping[str, Any] | None, body: Mapping[str, Any]) -> bool:
    """Return whether a stored body holds all values of another; an erased one covers everything.

    >>> covers({"a": 1, "b": 2}, {"a": 1, "b": None}), covers({"a": 1}, {"a": 2})
    (True, False)
    """
    return known is None or all(value is None or known.get(name) == value for name, value in body.items())


def repeats(known: Mapping[str, Any] | None, body: Mapping[str, Any]) -> bool:
    """Return whether a stored body equals a new API read; a field that the read lacks was removed.

    >>> repeats({"unique_id": "u"}, {"unique_id": None}), repeats({"person": 1}, {"person": None})
    (True, False)
    """
    return known is None or all(
        known.get(name) == value or (value is None and name in BEYOND_VERSION) for name, value in body.items()
    )


def compared(row: Mapping[str, Any]) -> bytes:
    """Return a row as bytes for the projection hash, without what depends on order or source.

    >>> compared({"id": 1, "is_deleted": True})
    b''
    """
    if row.get("is_deleted") or row.get("answers") == row.get("skips") == 0:
        return b""
    return orjson.dumps([[name, row[name]] for name in sorted(row) if name not in _NEVER_COMPARED]) + b"\n"


def creation_time(body: Mapping[str, Any]) -> str:
    """Return the creation time in a body, which names the lifetime."""
    return plain(body.get("created_at") or "")


def canonical_time_of(seconds: float) -> str:
    """Return a time in the form in which texts sort as times do.

    >>> canonical_time_of(60.0)
    '1970-01-01T00:01:00.000000Z'
    """
    return canonical_time(datetime.fromtimestamp(seconds, UTC).isoformat())


def epoch_s(version: str) -> float:
    """Return a canonical time as seconds since 1970; 0.0 for "".

    >>> epoch_s("1970-01-01T00:01:00.000000Z")
    60.0
    """
    return datetime.fromisoformat(version).timestamp() if version else 0.0


def _decoded(body: Mapping[str, Any]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the answers by control, as key texts, and the reasons why others could not be read."""
    if body.get("was_cancelled"):
        return {}, ()
    decoded = decode_result(body.get("result"))
    answers, problems = dict[str, str](), list(decoded.problems)
    for control, answer in decoded.answers.items():
        if len(control) > _LONGEST_CONTROL:
            problems.append(f"the name of a control has more than {_LONGEST_CONTROL} characters")
            continue
        try:
            answers[plain(control)] = plain(answer.key)
        except Exception as error:  # noqa: BLE001 - a codec is a plug-in, and may return what JSON cannot hold
            problems.append(f"control {control}: {describe_error(error)}")
    return answers, tuple(problems)


def _seconds(value: Any) -> float | None:
    """Return a float: 5 and 5.0 are one number to a database and two texts to a hash."""
    return float(value) if isinstance(value, (int, float)) else None


def _small(value: Any) -> int:
    """Return an overlap that a database integer holds."""
    return value if isinstance(value, int) and 0 <= value < 2**31 else 1


_COLUMNS: Mapping[Any, tuple[str, ...]] = {
    kind: tuple(item.name for item in fields(kind) if item.name not in ("body", "answer_keys"))
    for kind in (AnnotationState, TaskState, ProjectState, AnnotatorCounts)
}
