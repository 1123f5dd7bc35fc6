"""The records that all packages share: tasks, annotations and answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

Indicators: TypeAlias = Mapping[str, Any]  # indicator -> a number, a text or a list of texts

INDICATORS_KEY = "hitl_indicators"  # of task data as models read it; Label Studio never sees this key


@dataclass(frozen=True, slots=True)
class Task:
    """One Label Studio task; `data` is what people see."""

    id: int
    data: Mapping[str, Any] = field(hash=False)
    project: str = ""
    is_labeled: bool = False
    overlap: int = 1
    created_at: str = ""  # ISO 8601, UTC, as Label Studio sends it
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of a result for one control; equal answers compare equal.

    `value` is hashable and JSON-like: a sorted tuple of labels for choices, an int for a rating, ...

    >>> Answer("choices", ("spam",)).key
    '["choices",["spam"]]'
    """

    kind: str  # a codec name: "choices", "rating", "labels", ...
    value: Hashable

    @property
    def key(self) -> str:
        """Return a canonical text, the same for equal answers on every machine."""
        return json.dumps([self.kind, self.value], separators=(",", ":"), ensure_ascii=False)

    @staticmethod
    def from_key(key: str) -> Answer:
        """Return the answer with this `key`."""
        kind, value = json.loads(key)
        return Answer(kind, frozen(value))


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
    parent_prediction: int | None = None  # the prediction that the person saw; None: none
    unique_id: str | None = None
    imported: bool = False


def content_hash(data: Mapping[str, Any]) -> str:
    """Return a hash of a task's data, 32 hex digits; the order of its keys does not matter."""
    text = orjson.dumps(dict(data), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str)
    return hashlib.sha256(text).hexdigest()[:32]


def field_value(data: object, field: str) -> Any:
    """Return the value of a field of a task's data, or None; a dotted field reads nested data, as `$a.b` does.

    >>> field_value({"text": "refund"}, "text"), field_value({"order": {"notes": ["late"]}}, "order.notes[0]")
    ('refund', 'late')
    """
    if not isinstance(data, (dict, Mapping)):  # dict first: the check of an abstract class is slow
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


def with_indicators(data: Mapping[str, Any], indicators: Indicators) -> Mapping[str, Any]:
    """Return task data with the indicators under `INDICATORS_KEY`; a value that the task itself has there is removed.

    >>> with_indicators({"text": "refund"}, {"fraud": "card"})
    {'text': 'refund', 'hitl_indicators': {'fraud': 'card'}}
    """
    own = {name: value for name, value in data.items() if name != INDICATORS_KEY} if INDICATORS_KEY in data else data
    return {**own, INDICATORS_KEY: dict(indicators)} if indicators else own


def frozen(value: Any) -> Hashable:
    """Turn lists, and objects as their JSON, into what can be hashed."""
    if isinstance(value, Mapping):
        return json.dumps(value, sort_keys=True, default=str)
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value
