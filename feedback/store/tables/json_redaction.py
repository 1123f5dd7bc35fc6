"""Redaction of JSON: find and remove what concerns a data subject, at any depth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.policy.schema import same_email
from feedback.store.tables.personal_data import DataSubject

DERIVED = ("agreement", "people")  # kinds of records that are computed again from the remaining data
_KEYED = {"gold": {"add", "retire"}}  # kind -> names of fields that hold task ids
_GONE: Any = object()


def mentions(body: Any, subject: DataSubject) -> bool:
    """Return whether a body holds something about the data subject.

    >>> subject = DataSubject("1", person=7)
    >>> mentions({"note": "x", "rows": [{"person": 7}]}, subject), mentions({"task": 7}, subject)
    (True, False)
    """
    return bool(redact(body, subject) != body)


def redact(body: Any, subject: DataSubject, kind: str = "") -> Any:
    """Return a body without the data of a subject; None if it holds nothing else.

    An action stays recorded without its person: `{"action": "pause", "person": None}`.

    >>> redact({"votes": 3, "rows": [{"person": 7, "share": 0.5}, {"person": 8}]}, DataSubject("1", person=7))
    {'votes': 3, 'rows': [{'person': 8}]}
    >>> redact({"task": 5, "text": "private"}, DataSubject("1", tasks=frozenset({5}))) is None
    True
    """
    if kind == "action" and isinstance(body, Mapping):
        return {**body, "person": None} if _is_person(body, subject) else body
    found = _without(body, subject)
    if found is _GONE:
        return None
    if isinstance(found, dict):
        for name in found.keys() & _KEYED.get(kind, set()):
            found[name] = _without_numbers(found[name], subject.tasks)
        if kind == "relabel":
            found["versions"] = [
                version for version in found.get("versions", ()) if version[0] not in subject.annotations
            ]
    return found


def _without(value: Any, subject: DataSubject) -> Any:
    if isinstance(value, str):
        return "" if value and _is_address(value, subject) else value
    if isinstance(value, list):
        return [item for item in (_without(item, subject) for item in value) if item is not _GONE]
    if not isinstance(value, Mapping):
        return value
    if _is_person(value, subject) or _is_task(value, subject):
        return _GONE
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if _is_address(str(name), subject):
            continue
        if name == "people" and subject.person is not None:
            inner = _without_person(inner, subject.person)  # a table or list by their numbers
        rest = _without(inner, subject)
        if rest is not _GONE:
            kept[name] = rest
        elif name == "payload":  # a notification about one task
            return _GONE
    return kept


def _is_person(body: Mapping[str, Any], subject: DataSubject) -> bool:
    return subject.person is not None and body.get("person") == subject.person


def _is_task(body: Mapping[str, Any], subject: DataSubject) -> bool:
    if _in(body.get("annotation"), subject.annotations):
        return True
    if "review_project" in body:  # of a copy in a review project, which has a number of its own
        return _in(body.get("case"), subject.cases)
    return _in(body.get("task"), subject.tasks)


def _in(value: Any, numbers: frozenset[int]) -> bool:
    return isinstance(value, int) and value in numbers


def _is_address(text: str, subject: DataSubject) -> bool:
    return any(same_email(text, email) for email in subject.emails)


def _without_person(value: Any, person: int) -> Any:
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if str(name) != str(person)}
    if isinstance(value, list):
        return [item for item in value if item != person]
    return value


def _without_numbers(value: Any, numbers: frozenset[int]) -> Any:
    """A table keyed by numbers as texts, or a list of numbers."""
    if isinstance(value, Mapping):
        return {name: item for name, item in value.items() if not (str(name).isdecimal() and int(name) in numbers)}
    if isinstance(value, list):
        return [item for item in value if item not in numbers]
    return value
