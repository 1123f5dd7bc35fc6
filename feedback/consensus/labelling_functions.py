"""Rules of thumb: labelling functions vote before there is a model, for what is shown; they are never people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from feedback.consensus.nonhuman_votes import suggest
from feedback.policy.crowd import LabellingFunction
from feedback.votes import Votes
from ml_backend.errors import UnknownName
from ml_backend.label_config import Control
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
Function = Callable[[Mapping[str, Any]], str | None]


def load_function(named: LabellingFunction) -> Function:
    """Find the function of a policy's entry; UnknownName where it is not installed here, or fails to be imported."""
    module, _, name = named.function.partition(":")
    who = f"labelling function {named.name!r}: {named.function}"
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UnknownName(f"{who} is not installed: {error}.") from None
    except Exception as error:  # noqa: BLE001 - somebody else's module may fail in any way
        raise UnknownName(f"{who} fails at import: {type(error).__name__}: {error}.") from None
    if not callable(found):
        raise UnknownName(f"{who} cannot be called.")
    function: Function = found
    return function


def suggestions(
    listed: Sequence[LabellingFunction], control: Control, data: Mapping[int, Mapping[str, Any]]
) -> dict[int, tuple[Answer, float]]:
    """What the policy's functions say together of these tasks, with how sure that is; only where one of them speaks.

    A function gets a task's data and gives a label, or None. What it says wrongly is learnt from the others, so a bad
    one weighs little; one that is missing or fails on a task is silent. Single choices only.
    """
    tasks = [*data]
    if not listed or not tasks or control.kind != "choices":
        return {}
    code = {label: place for place, label in enumerate(control.labels)}
    rows: list[tuple[int, int, int]] = []
    for voter, named in enumerate(listed):
        try:
            function = load_function(named)
        except UnknownName as error:
            _LOG.warning("%s", error)
            continue
        said = _votes(function, named.name, [*data.values()])
        rows += [
            (place, voter, code[label]) for place, label in enumerate(said) if isinstance(label, str) and label in code
        ]
    if not rows:
        return {}
    size = (len(tasks), len(listed), len(code))
    functions = Votes([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], *size)
    together = suggest(Votes([], [], [], n_tasks=size[0], n_people=0, n_labels=size[2]), functions=functions)
    spoken = sorted({row[0] for row in rows})
    return {
        tasks[place]: (
            Answer("choices", (control.labels[int(together.labels[place])],)),
            round(float(together.proba[place].max()), 4),
        )
        for place in spoken
    }


def _votes(function: Function, name: str, data: Sequence[Mapping[str, Any]]) -> list[str | None]:
    said: list[str | None] = []
    failed = 0
    for one in data:
        try:
            said.append(function(one))
        except Exception as error:  # noqa: BLE001 - somebody else's code must not stop the queue
            said.append(None)
            failed += 1
            reason = f"{type(error).__name__}: {error}"
    if failed:
        _LOG.warning("labelling function %r failed on %d of %d tasks: %s", name, failed, len(data), reason)
    return said
