"""The records that cross every border: tasks, annotations, answers and predictions, frozen once checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Known: TypeAlias = Mapping[str, Any]  # indicator -> a number, a text or a list of texts

KNOWN = "hitl_known"  # where it stands in a task's data on its way to a model; Label Studio never sees it


@dataclass(frozen=True, slots=True)
class Task:
    """One Label Studio task as we need it; `data` is what people see."""

    id: int
    data: Mapping[str, Any] = field(hash=False)
    project: str = ""
    is_labeled: bool = False
    overlap: int = 1
    created_at: str = ""  # ISO 8601, UTC, as Label Studio sends it
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a result says for one control; equal answers are equal objects.

    `value` is hashable and JSON-like: a sorted tuple of labels for choices, an int for a rating, ...

    >>> Answer("choices", ("spam",)).key
    '["choices",["spam"]]'
    """

    kind: str  # a codec name: "choices", "rating", "labels", ...
    value: Hashable

    @property
    def key(self) -> str:
        """A canonical text, the same for equal answers on every machine."""
        return json.dumps([self.kind, self.value], separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_key(key: str) -> Answer:
        """Read back what `key` wrote.

        >>> Answer.from_key('["choices",["ham"]]')
        Answer(kind='choices', value=('ham',))
        """
        kind, value = json.loads(key)
        return Answer(kind, _frozen(value))


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation as Label Studio stores it; `result` is raw and unchecked."""

    id: int
    task: int
    project: str
    person: int | None  # completed_by
    result: tuple[Any, ...] = field(hash=False)
    updated_at: str  # ISO 8601, UTC; with the id it names one version
    created_at: str = ""
    was_cancelled: bool = False  # a skip
    ground_truth: bool = False
    lead_time_s: float | None = None
    parent_prediction: int | None = None  # what the person was shown; None: nothing
    unique_id: str | None = None
    imported: bool = False


def content_hash(data: Mapping[str, Any]) -> str:
    """Name a task's content: the same for equal data, whatever the order of its keys.

    >>> content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    True
    """
    text = orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()[:32]


def datum(data: object, field: str) -> Any:
    """What stands in a field of a task's data; a dotted field looks into nested data, as Label Studio's `$a.b` does.

    None where there is nothing.

    >>> datum({"text": "refund"}, "text"), datum({"order": {"notes": ["late"]}}, "order.notes[0]")
    ('refund', 'late')
    """
    if not isinstance(data, Mapping):
        return None
    if field in data:
        return data[field]
    value: Any = data
    for step in field.replace("[", ".").replace("]", "").split("."):
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def with_known(data: Mapping[str, Any], known: Known) -> Mapping[str, Any]:
    """The task's data with what is known beside it; whatever a task itself holds under our key is not ours.

    >>> with_known({"text": "refund"}, {"fraud": "card"})
    {'text': 'refund', 'hitl_known': {'fraud': 'card'}}
    >>> with_known({"text": "refund", "hitl_known": "mischief"}, {})
    {'text': 'refund'}
    """
    own = {name: value for name, value in data.items() if name != KNOWN} if KNOWN in data else data
    return {**own, KNOWN: dict(known)} if known else own


def _frozen(value: Any) -> Hashable:
    """Lists become tuples, so that an answer can be hashed."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
