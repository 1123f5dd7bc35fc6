"""Answers that do not count: how many of whom and why in a project, and which on one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from feedback.project.label_changes import apply_label_changes, list_label_changes
from feedback.reports.formatting import close_direction, unnamed
from feedback.store import ProjectRow, Store, UncountedAnswer
from feedback.store.repositories.uncounted import NO_ANSWER, UNREADABLE
from ml_backend.errors import LabelConfigError
from ml_backend.label_config import read_label_config
from ml_backend.models.learnability import list_learnability
from ml_backend.number_format import format_count, format_counted
from ml_backend.plugins import REGION_CODECS

EMPTY = "is empty: nothing is marked in it"  # of spans or boxes, where that is an answer
RELABELLED = "was given before its label changed; the task is asked again"
_PEOPLE_NAMED = 5  # in a sentence
_REASONS_NAMED = 3
_MANY = 10  # answers of which one at least should be learned


def list_uncounted(store: Store, project: ProjectRow, task: int | None = None) -> list[UncountedAnswer]:
    """Return the answers that do not count, reviews included, each with the reason; of one task or of all."""
    control, nothing, _problem = _learned_control(project)
    found = {row.annotation: row for row in _list_relabelled(store, project, control, task)}
    for row in store.uncounted.list_uncounted(project.id, control, task=task):
        found[row.annotation] = replace(row, why=nothing) if row.why == NO_ANSWER else row
    return [found[annotation] for annotation in sorted(found)]


def count_uncounted(uncounted: Iterable[UncountedAnswer]) -> list[dict[str, Any]]:
    """Return how many answers of each person do not count, by reason, the most frequent first, as JSON.

    Empty answers are left out: they are no trouble.
    """
    found = Counter((row.why, row.person) for row in uncounted if row.why != EMPTY)
    ranked = sorted(found.items(), key=lambda item: (-item[1], item[0][0], item[0][1] or 0))
    return [{"why": why, "person": person, "answers": answers} for (why, person), answers in ranked]


def uncounted_sentences(counts: Iterable[Mapping[str, Any]], *, name: Callable[[int], str] = unnamed) -> Iterator[str]:
    """Return one sentence for each reason, the most frequent first; `name` gives the name of a user id.

    >>> list(uncounted_sentences([{"why": "is not among the people of L1", "person": 3, "answers": 96}]))
    ['96 answers of person 3: is not among the people of L1']
    """
    by_reason: dict[str, list[tuple[int | None, int]]] = {}
    for row in counts:
        by_reason.setdefault(str(row["why"]), []).append((row["person"], int(row["answers"])))
    for why, people in sorted(by_reason.items(), key=lambda item: -sum(answers for _person, answers in item[1])):
        total = sum(answers for _person, answers in people)
        known = [name(person) for person, _answers in people[:_PEOPLE_NAMED] if person is not None]
        more = f" and {len(people) - _PEOPLE_NAMED} more people" if len(people) > _PEOPLE_NAMED else ""
        who = f" of {', '.join(known)}{more}" if known else ""
        yield f"{format_counted(total, 'answer', 'answers')}{who}: {close_direction(why)}"


def describe_not_learned(
    project: ProjectRow, uncounted: Iterable[UncountedAnswer], turn: Mapping[str, Any], *, answers: int
) -> str:
    """Return in a sentence that most answers give no row to learn from, with the reasons; "" where they do.

    `turn` is the record of the last turn, which counted the rows, and the votes that give none; {} before the first.
    `answers` are those of people in the project.
    """
    control, nothing, problem = _learned_control(project)
    outside = f"answers lie outside what control {control!r} can learn"
    if problem and answers >= _MANY:
        return f"{format_count(answers)} {outside}: {close_direction(problem)}"
    reasons = Counter(row.why for row in uncounted if row.why == nothing != EMPTY or row.why.startswith(UNREADABLE))
    reasons.update(turn.get("not_learned", {}))
    total = sum(reasons.values())
    if total < _MANY or total <= turn.get("rows", total):
        return ""
    why = ", ".join(f"{reason} ({format_count(count)})" for reason, count in reasons.most_common(_REASONS_NAMED))
    more = len(reasons) - _REASONS_NAMED
    return f"{format_count(total)} {outside}: {close_direction(why)}" + (
        f", and {more} more reasons" if more > 0 else ""
    )


def _list_relabelled(store: Store, project: ProjectRow, control: str, task: int | None) -> Iterator[UncountedAnswer]:
    """Yield the votes that a change of labels has made stale."""
    changes = list_label_changes(store, project.id)
    if not any(not change.to for change in changes):
        return
    votes = store.votes.list_votes(project.id, control=control, tasks=None if task is None else [task])
    counted = {vote.annotation for vote in apply_label_changes(votes, changes).votes}
    for vote in votes:
        if vote.annotation not in counted:
            yield UncountedAnswer(vote.annotation, vote.task, vote.person, RELABELLED)


def _learned_control(project: ProjectRow) -> tuple[str, str, str]:
    """Return the control that is learned, what an answer without it is, and why no model learns it.

    ("", ...) for a label config that cannot be read.
    """
    try:
        config = read_label_config(project.label_config)
        control = config.control(project.policy.model.control)
    except LabelConfigError:
        return "", NO_ANSWER, ""
    learned = list_learnability(config, hosted=bool(project.policy.model.hosted))
    reason = next(item.reason_in_short for item in learned if item.control is control)
    return control.name, EMPTY if control.kind in REGION_CODECS else NO_ANSWER, reason
