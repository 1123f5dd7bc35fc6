"""Label changes: when a label changes its meaning, old answers are translated or asked again (`hitl relabel`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feedback.errors import VotesError
from feedback.store import Store, Vote
from ml_backend.codecs import UNLABELLED
from ml_backend.label_config import PATH, Control
from ml_backend.plugins import REGION_CODECS
from ml_backend.records import Answer

_KIND = "relabel"


@dataclass(frozen=True, slots=True)
class LabelChange:
    """One change of meaning, with the versions of all answers that it applies to."""

    label: str
    to: str  # the new label; "" where people are asked again
    split: tuple[str, ...]  # the labels to choose from now; () where the old label stays
    versions: Mapping[int, float]  # annotation -> time of its version; a later version is a new answer
    at_s: float

    def covers(self, vote: Vote) -> bool:
        """Return whether this vote was given before the change."""
        return self.versions.get(vote.annotation) == vote.at_s


@dataclass(frozen=True, slots=True)
class AppliedLabelChanges:
    """The votes that count after all label changes."""

    votes: tuple[Vote, ...]
    stale: Mapping[int, int]  # task -> number of votes that no longer count


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
    """Record that the current answers with `label` are translated or asked again, and request a turn.

    An answer that is changed later counts as new.

    Parameters
    ----------
    labels
        The labels of the label config.
    to
        The new label of these answers; "": people are asked again.
    split
        The labels that people choose from when they are asked again; () where `label` stays.

    Raises
    ------
    VotesError
        When no answer has the label, or a new label is not in the label config.
    """
    if missing := [name for name in ([to] if to else split) if name not in labels]:
        raise VotesError(
            f"{missing[0]!r} is not in the label config.", hint="Add it in Label Studio first, then run a turn."
        )
    if label in split or label == to:
        raise VotesError(f"{label!r} cannot become itself.", hint="Give the part that keeps the meaning a new name.")
    found = {vote.annotation: vote.at_s for vote in votes if label in labels_in(vote.answer)}
    if not found:
        raise VotesError(f"no answer in project {project} has the label {label!r}.")
    body = {"label": label, "to": to, "split": list(split), "versions": sorted(found.items()), "at_s": now_s}
    store.records.create_record(project, _KIND, body)
    store.jobs.request_job(project, "turn")
    return LabelChange(label, to, tuple(split), found, now_s)


def list_label_changes(store: Store, project: str) -> list[LabelChange]:
    """Return all label changes of a project, oldest first."""
    return [
        LabelChange(
            record.body["label"],
            record.body["to"],
            tuple(record.body["split"]),
            {int(annotation): float(at_s) for annotation, at_s in record.body["versions"]},
            record.body["at_s"],
        )
        for record in reversed(store.records.list_records(project, _KIND, limit=None))
    ]


def apply_label_changes(votes: Iterable[Vote], changes: Sequence[LabelChange]) -> AppliedLabelChanges:
    """Translate or leave out the votes that were given before a label change."""
    counted, stale = list[Vote](), Counter[int]()
    for vote in votes:
        current: Vote | None = vote
        for change in changes:
            if current is None or not change.covers(vote) or change.label not in labels_in(current.answer):
                continue
            current = (
                replace(current, answer=_translate(current.answer, change.label, change.to)) if change.to else None
            )
        if current is None:
            stale[vote.task] += 1
        else:
            counted.append(current)
    return AppliedLabelChanges(tuple(counted), dict(stale))


def labels_in(answer: Answer) -> set[object]:
    """Return every label in an answer: of a choice, of a region, or in a taxonomy path; none of a number or a text."""
    value: Any = answer.value
    if answer.kind in UNLABELLED:
        return set()
    if not isinstance(value, tuple):
        return {value}
    if answer.kind in REGION_CODECS:
        return {region[-1] for region in value}
    return {part for item in value for part in (item if isinstance(item, tuple) else (item,))}


def known_labels(control: Control) -> frozenset[str]:
    """Return the labels of a control, with the branches of paths; none where each task brings its own along."""
    paths = [] if control.options else control.labels
    return frozenset(
        PATH.join(path[:depth]) for path in (label.split(PATH) for label in paths) for depth in range(1, len(path) + 1)
    )


def dropped_labels(answer: Answer, labels: Collection[str]) -> list[str]:
    """Return the labels of an answer that the label config does not have any more, sorted; none where it has no list.

    >>> dropped_labels(Answer("labels", ((0, 5, "PER"), (7, 9, "ORG"))), ["PERSON", "ORG"])
    ['PER']
    """
    return sorted(str(label) for label in labels_in(answer) if label not in labels) if labels else []


def _translate(answer: Answer, old: str, new: str) -> Answer:
    value: Any = answer.value
    if not isinstance(value, tuple):
        return Answer(answer.kind, new)
    return Answer(answer.kind, tuple(sorted({_replace_label(item, old, new) for item in value})))


def _replace_label(part: Any, old: str, new: str) -> Any:
    """Return a part of an answer with the new label in place of the old one."""
    if isinstance(part, tuple):
        return tuple(_replace_label(item, old, new) for item in part)
    return new if part == old else part
