"""Bodies: what JSON says of a person or of a task, found in it and taken out of it, however deep it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feedback.policy.schema import same_email
from feedback.store.tables.personal_data import DataSubject

DERIVED = ("agreement", "people")  # kinds of records that are reckoned anew from what is left
_KEYED = {"gold": {"add", "retire"}}  # kind -> names under which tasks stand by their numbers
_GONE: Any = object()


def names(body: Any, whom: DataSubject) -> bool:
    """Whether a body says something of whom is meant.

    >>> names({"note": "x", "rows": [{"person": 7}]}, DataSubject("1", person=7)), names({"task": 7}, DataSubject("1", person=7))
    (True, False)
    """
    return bool(without(body, whom) != body)


def without(body: Any, whom: DataSubject, kind: str = "") -> Any:
    """Give a body without what it says of whom is meant; None where nothing else was in it.

    An action keeps that it was done: `{"action": "pause", "person": None}`.

    >>> without({"votes": 3, "rows": [{"person": 7, "share": 0.5}, {"person": 8}]}, DataSubject("1", person=7))
    {'votes': 3, 'rows': [{'person': 8}]}
    >>> without({"task": 5, "text": "private"}, DataSubject("1", tasks=frozenset({5}))) is None
    True
    """
    if kind == "action" and isinstance(body, Mapping):
        return {**body, "person": None} if _is_person(body, whom) else body
    found = _without(body, whom)
    if found is _GONE:
        return None
    if isinstance(found, dict):
        for name in found.keys() & _KEYED.get(kind, set()):
            found[name] = _without_numbers(found[name], whom.tasks)
        if kind == "relabel":
            found["versions"] = [one for one in found.get("versions", ()) if one[0] not in whom.annotations]
    return found


def _without(value: Any, whom: DataSubject) -> Any:
    if isinstance(value, str):
        return "" if value and _is_address(value, whom) else value
    if isinstance(value, list):
        return [one for one in (_without(one, whom) for one in value) if one is not _GONE]
    if not isinstance(value, Mapping):
        return value
    if _is_person(value, whom) or _is_task(value, whom):
        return _GONE
    kept: dict[str, Any] = {}
    for name, inner in value.items():
        if _is_address(str(name), whom):
            continue
        if name == "people" and whom.person is not None:
            inner = _without_person(inner, whom.person)  # a table or list by their numbers
        rest = _without(inner, whom)
        if rest is not _GONE:
            kept[name] = rest
        elif name == "says":  # a notice of one task
            return _GONE
    return kept


def _is_person(body: Mapping[str, Any], whom: DataSubject) -> bool:
    return whom.person is not None and body.get("person") == whom.person


def _is_task(body: Mapping[str, Any], whom: DataSubject) -> bool:
    if _in(body.get("annotation"), whom.annotations):
        return True
    if "review_project" in body:  # of a copy in a review project, which has a number of its own
        return _in(body.get("case"), whom.cases)
    return _in(body.get("task"), whom.tasks)


def _in(value: Any, numbers: frozenset[int]) -> bool:
    return isinstance(value, int) and value in numbers


def _is_address(text: str, whom: DataSubject) -> bool:
    return any(same_email(text, one) for one in whom.emails)


def _without_person(value: Any, person: int) -> Any:
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if str(name) != str(person)}
    if isinstance(value, list):
        return [one for one in value if one != person]
    return value


def _without_numbers(value: Any, numbers: frozenset[int]) -> Any:
    """A table keyed by numbers as texts, or a list of numbers."""
    if isinstance(value, Mapping):
        return {name: one for name, one in value.items() if not (str(name).isdecimal() and int(name) in numbers)}
    if isinstance(value, list):
        return [one for one in value if one not in numbers]
    return value
