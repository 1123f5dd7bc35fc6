"""Renewal: when a label changes its meaning, old answers are translated or asked again, never mixed with new ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.errors import VotesError
from feedback.store import Store, Vote
from ml_backend.records import Answer

_KIND = "relabel"
_ALL = 10_000  # records; one for each command
_DRAWN = ("labels", "rectanglelabels")  # regions, each with its label last


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One change of meaning: the answers that it found, each in the version that it had."""

    label: str
    to: str  # the label that takes its place; "" where people are asked again
    split: tuple[str, ...]  # the labels that people choose among now; () where the old one stays
    versions: Mapping[int, float]  # annotation -> time of its version; a later version is a new answer
    at_s: float

    def covers(self, vote: Vote) -> bool:
        """Whether this vote was given before the change."""
        return self.versions.get(vote.annotation) == vote.at_s


@dataclass(frozen=True, slots=True)
class AppliedChanges:
    """The votes that count, and how many on each task count no more."""

    votes: tuple[Vote, ...]
    stale: Mapping[int, int]


def record_label_change(
    store: Store,
    project: str,
    votes: Iterable[Vote],
    labels: Sequence[str],
    *,
    label: str,
    to: str = "",
    split: Sequence[str] = (),
    now_s: float,
) -> LabelChange:
    """Mark the standing answers with `label`: translated `to` another label, or stale and asked again. Wants a turn.

    `labels` are those of the label config; the new ones must be among them. An answer that is changed later counts as
    new. Raises VotesError where nothing has the label, or a new label is not there.
    """
    if missing := [name for name in ([to] if to else split) if name not in labels]:
        raise VotesError(
            f"{missing[0]!r} is not in the label config.", hint="Add it in Label Studio first, then run a turn."
        )
    if label in split or label == to:
        raise VotesError(f"{label!r} cannot become itself.", hint="Give the part that keeps the meaning a new name.")
    found = {vote.annotation: vote.at_s for vote in votes if label in _labels(vote.answer)}
    if not found:
        raise VotesError(f"no answer of project {project} says {label!r}.")
    body = {"label": label, "to": to, "split": list(split), "versions": sorted(found.items()), "at_s": now_s}
    store.records.create_record(project, _KIND, body)
    store.jobs.request_job(project, "turn")
    return LabelChange(label, to, tuple(split), found, now_s)


def label_changes(store: Store, project: str) -> list[LabelChange]:
    """Every change of meaning, oldest first."""
    return [
        LabelChange(
            one.body["label"],
            one.body["to"],
            tuple(one.body["split"]),
            {int(annotation): float(at_s) for annotation, at_s in one.body["versions"]},
            one.body["at_s"],
        )
        for one in reversed(store.records.list_records(project, _KIND, limit=_ALL))
    ]


def apply_changes(votes: Iterable[Vote], changes: Sequence[LabelChange]) -> AppliedChanges:
    """Translate or leave out what was said before labels changed their meaning."""
    kept, stale = list[Vote](), Counter[int]()
    for vote in votes:
        now: Vote | None = vote
        for change in changes:
            if now is None or not change.covers(vote) or change.label not in _labels(now.answer):
                continue
            now = replace(now, answer=_translated(now.answer, change.label, change.to)) if change.to else None
        if now is None:
            stale[vote.task] += 1
        else:
            kept.append(now)
    return AppliedChanges(tuple(kept), dict(stale))


def _labels(answer: Answer) -> set[object]:
    """Every label that an answer holds: chosen, at the end of what is drawn, or on the way of a path."""
    value: Any = answer.value
    if not isinstance(value, tuple):
        return {value}
    if answer.kind in _DRAWN:
        return {one[-1] for one in value}
    return {part for one in value for part in (one if isinstance(one, tuple) else (one,))}


def _translated(answer: Answer, old: str, new: str) -> Answer:
    value: Any = answer.value
    if not isinstance(value, tuple):
        return Answer(answer.kind, new)
    return Answer(answer.kind, tuple(sorted({_named(one, old, new) for one in value})))


def _named(part: Any, old: str, new: str) -> Any:
    """The same part of an answer with the new label in the place of the old one."""
    if isinstance(part, tuple):
        return tuple(_named(one, old, new) for one in part)
    return new if part == old else part
