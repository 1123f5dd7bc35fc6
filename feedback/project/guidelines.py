"""Guidelines: the label config and instruction that people answered under, over time."""

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


@dataclass(frozen=True, slots=True)
class Guideline:
    """Label config and instruction as of a time."""

    hash: str
    label_config: str  # hash
    instruction: str  # hash
    at_s: float  # when it was first seen: at the first poll after the change


def record_guideline(store: Store, project: str, body: Mapping[str, Any], *, now_s: float) -> bool:
    """Record label config and instruction of a project where they changed; return whether they did.

    `body` is the project as Label Studio's API returns it. The text of the instruction is stored with its hash.
    """
    config, instruction = str(body.get("label_config") or ""), str(body.get("expert_instruction") or "")
    try:
        config_hash = read_label_config(config).hash
    except LabelConfigError:
        config_hash = _hash(config)  # a label config that we cannot read is a change, too
    instruction_hash = _hash(instruction)
    both = _hash(f"{config_hash}/{instruction_hash}")
    last, shown = store.records.get_latest_record(project, _KIND), bool(body.get("show_instruction"))
    changed = last is None or last.body["hash"] != both
    if last is not None and not changed and last.body["shown"] == shown:
        return False
    row = {
        "hash": both,
        "label_config": config_hash,
        "instruction": instruction_hash,
        "text": instruction,
        "shown": shown,
        "at_s": now_s,
    }
    store.records.create_record(project, _KIND, row)
    return changed


def get_instruction(store: Store, project: str) -> tuple[str, bool]:
    """Return the present instruction of a project (HTML), and whether people see it before they label."""
    last = store.records.get_latest_record(project, _KIND)
    return (str(last.body["text"]), bool(last.body["shown"])) if last is not None else ("", False)


def list_guidelines(store: Store, project: str) -> list[Guideline]:
    """Return all guidelines of a project, oldest first."""
    return [
        Guideline(record.body["hash"], record.body["label_config"], record.body["instruction"], record.body["at_s"])
        for record in reversed(store.records.list_records(project, _KIND, limit=None))
    ]


def guideline_at(guidelines: Sequence[Guideline], at_s: float) -> str:
    """Return the hash of the guideline at a time; before the first guideline, that of the first; "" without any.

    Examples
    --------
    >>> guidelines = [Guideline("a", "", "", 10.0), Guideline("b", "", "", 20.0)]
    >>> [guideline_at(guidelines, at_s) for at_s in (5.0, 10.0, 19.0, 20.0)], guideline_at([], 1.0)
    (['a', 'a', 'a', 'b'], '')
    """
    if not guidelines:
        return ""
    return guidelines[max(0, bisect_right([guideline.at_s for guideline in guidelines], at_s) - 1)].hash


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
