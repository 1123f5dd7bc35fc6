"""Guidelines: what people were told when they answered, known by hash, and which one an answer was given under."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feedback.store import Store
from ml_backend.errors import LabelConfigError
from ml_backend.label_config import read_label_config

_KIND = "guideline"
_ALL = 10_000


@dataclass(frozen=True, slots=True)
class Guideline:
    """Label config and instruction as they stood from a time on."""

    hash: str
    label_config: str  # hash
    instruction: str  # hash
    at_s: float  # when it was first seen: at the first poll after the change


def note_guideline(store: Store, project: str, body: Mapping[str, Any], *, now_s: float) -> bool:
    """Record what people are told now, where it is not what they were told before; True when it changed.

    `body` is the project as Label Studio describes it. The text of the instruction is kept beside its hash.
    """
    config, instruction = str(body.get("label_config") or ""), str(body.get("expert_instruction") or "")
    try:
        known = read_label_config(config).hash
    except LabelConfigError:
        known = _hash(config)  # unreadable today; it is still another one
    told = _hash(instruction)
    both = _hash(f"{known}/{told}")
    last = store.records.get_latest_record(project, _KIND)
    if last is not None and last.body["hash"] == both:
        return False
    row = {"hash": both, "label_config": known, "instruction": told, "text": instruction, "at_s": now_s}
    store.records.create_record(project, _KIND, row)
    return True


def guidelines(store: Store, project: str) -> list[Guideline]:
    """Everything that people were told, oldest first."""
    return [
        Guideline(one.body["hash"], one.body["label_config"], one.body["instruction"], one.body["at_s"])
        for one in reversed(store.records.list_records(project, _KIND, limit=_ALL))
    ]


def guideline_of(told: Sequence[Guideline], at_s: float) -> str:
    """The hash of the guideline under which an answer of this time was given; before the first, the first.

    >>> told = [Guideline("a", "", "", 10.0), Guideline("b", "", "", 20.0)]
    >>> [guideline_of(told, at_s) for at_s in (5.0, 10.0, 19.0, 20.0)], guideline_of([], 1.0)
    (['a', 'a', 'a', 'b'], '')
    """
    if not told:
        return ""
    return told[max(0, bisect_right([one.at_s for one in told], at_s) - 1)].hash


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
