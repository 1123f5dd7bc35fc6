"""The protocols of a tier: what the readings of a case come to, for one reader, a panel, or two and an adjudicator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from feedback.policy.tiers import Tier
from ml_backend.records import Answer

Comes = Literal["wait", "decide", "none", "escalate", "guideline"]


class _Reading(Protocol):
    """What a ruling needs of one person's counted look."""

    @property
    def verdict(self) -> str: ...
    @property
    def answer(self) -> Answer | None: ...


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the readings come to. `wanted` is how many readers the case needs in all."""

    comes: Comes  # "none": no answer is right
    wanted: int
    answer: Answer | None = None
    note: str = ""
    agreed: int = 0  # readers behind it


def rule(readings: Sequence[_Reading], tier: Tier) -> Ruling:
    """Rule on a case from its readings, oldest first.

    single: the first reading decides. panel: once all have read, what more than `min_agreement` of them say; else the
    case escalates. two-reader: both alike decide; else a third, who sees both, decides alone.

    >>> from types import SimpleNamespace as Read
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> said = [Read(verdict="fix", answer=spam), Read(verdict="fix", answer=spam), Read(verdict="accept", answer=ham)]
    >>> rule(said, Tier(protocol="panel", panel=3)).note
    '2 of 3 readers agree'
    """
    wanted = tier.readers
    if tier.protocol == "two-reader" and len(readings) >= 2 and _says(readings[0]) != _says(readings[1]):
        if len(readings) < 3:
            return Ruling("wait", 3, note="two readers differ; a third settles it")
        return _of(readings[2], 3, "the third reader settled it", 1)
    if len(readings) < wanted:
        return Ruling("wait", wanted, note=f"{len(readings)} of {wanted} have read it")
    if wanted == 1:
        return _of(readings[0], 1, "", 1)
    counts = Counter(_says(one) for one in readings)
    most = max(counts.values())
    leaders = [says for says, count in counts.items() if count == most]
    said = f"{most} of {len(readings)} readers agree"
    if len(leaders) > 1 or most <= tier.min_agreement * len(readings):
        return Ruling("escalate", wanted, note=f"only {said}", agreed=most)
    leading = next(one for one in readings if _says(one) == leaders[0])
    return _of(leading, wanted, said, most)


def _says(one: _Reading) -> tuple[str, Answer | None]:
    """Two readings are alike when they give the same answer, or both none for the same reason."""
    if one.verdict in ("accept", "fix", "answer"):
        return ("answer", one.answer)
    return (one.verdict, None)


def _of(one: _Reading, wanted: int, note: str, agreed: int) -> Ruling:
    kind, answer = _says(one)
    comes: Comes = "decide"
    if kind == "reject":
        comes = "none"
    elif kind == "escalate":
        comes = "escalate"
    elif kind == "guideline":
        comes = "guideline"
    said = f"{note}: {kind}" if note and kind != "answer" else note
    return Ruling(comes, wanted, answer, said, agreed)
