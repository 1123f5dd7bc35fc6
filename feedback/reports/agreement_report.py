"""Agreement in a connected project, on the tasks drawn for it; the analysis of its votes for `hitl agree`."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from feedback.agreement import Coefficient, load_measure, percent_agreement
from feedback.agreement.interpretation import Interpretation, interpret_agreement, judge_coefficient
from feedback.agreement.krippendorff_alpha import alpha_of_answers
from feedback.annotators.accuracy import AccuracyTable, Reliability
from feedback.annotators.gold import GoldTask
from feedback.errors import VotesError
from feedback.project.guidelines import guideline_at, list_guidelines
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.annotator_report import accuracy_of_people
from feedback.reports.formatting import answer_text
from feedback.reports.vote_analysis import (
    NUMBER_KINDS,
    Analysis,
    analyse_votes,
    distance_json,
    notes_on_people,
    reliability_json,
)
from feedback.reports.votes_file import describe_foreign_gold, parse_cell
from feedback.stats.intervals import Interval
from feedback.store import Store, Vote
from feedback.training.dataset import single_label
from feedback.votes import LABEL_KINDS, EncodedVotes, encode_votes
from ml_backend.clean_text import clean_text, unify_spelling
from ml_backend.errors import UnknownName
from ml_backend.left_out import name_some
from ml_backend.number_format import format_counted
from ml_backend.records import Answer, field_value

_LOG = logging.getLogger(__name__)
_MAX_GROUPS = 20  # those with most tasks


def agreement_figures(snapshot: ProjectSnapshot) -> dict[str, Any] | None:
    """Return percent agreement and the policy's measure with intervals; None where no drawn task has two votes.

    Only tasks drawn for several people count: tasks chosen because they are hard would make people look worse than
    they are. Percent counts two answers as equal or not; alpha suits the type of the answers.

    Returns
    -------
    dict
        `coefficient` is the policy's measure (`overlap.measure`) with its name, `reading` explains it in sentences,
        `clear` is its verdict, `confused_labels` are the two labels that people confuse most, and `open_first` the
        tasks to look at.
    """
    drawn = _drawn(snapshot.votes, snapshot)
    named = _encode(drawn)
    agreed = percent_agreement(named.votes) if drawn else None
    if agreed is None or not agreed.items:
        return None
    figure = _measure(drawn, snapshot)
    reading = _read_agreement(drawn, figure)
    confused = reading.confused
    return {
        "percent": agreed.to_json(),
        "coefficient": {"name": figure.name, **figure.to_json()},
        "reading": reading.text,
        "clear": reading.clear,
        "confused_labels": confused and {"answers": list(confused[:2]), "share": round(confused[2], 4)},
        "open_first": [named.tasks[code] for code in reading.open_first],
    }


def analyse_project(
    snapshot: ProjectSnapshot,
    *,
    gold: Mapping[str, str] | None = None,
    gold_tasks: Mapping[int, GoldTask] | None = None,
    calibrate_gold: int = 0,
    segment: str = "",
) -> Analysis:
    """Analyse the latest answers of people: agreement on the tasks drawn for it, consensus on all tasks.

    People are compared on the tasks drawn for several people and on `gold_tasks`, those of the project, or on `gold`.

    Without drawn tasks, agreement is shown on all tasks but not interpreted: tasks that were chosen for several people
    because they are hard make people look worse than they are.

    `gold` are answers by task id, as `read_gold` returns them; None uses the gold tasks of the project. `segment` is a
    field of the tasks; agreement is also measured within each of its values. VotesError where the project has no votes,
    no task has the field, or the gold answers of a file are not of the type of the votes or share no label with them.
    """
    if not snapshot.votes:
        raise VotesError(f"project {snapshot.project.id} has no votes on {snapshot.control.name!r} yet.")
    segments = _segments_of_tasks(snapshot, segment) if segment else {}
    kind = snapshot.votes[0].answer.kind
    answered = {vote.task for vote in snapshot.votes}
    known = {str(task): answer for task, answer in snapshot.book.items() if task in answered and answer.kind == kind}
    if gold:
        spelling = unify_spelling([*gold.values(), *snapshot.control.labels])
        cells = {task.removesuffix(".0"): spelling.get(cell, cell) for task, cell in gold.items()}
        known = {task: parse_cell(cell, kind, where=f"gold of {task}") for task, cell in cells.items()}
        gold_tasks = {int(task): GoldTask(int(task), answer, "") for task, answer in known.items() if task.isdecimal()}
    foreign = describe_foreign_gold([vote.answer for vote in snapshot.votes], known)
    if foreign and gold:
        raise VotesError(foreign, hint="Spell the labels as the label config does.")
    on_all = _analyse(snapshot.votes, None if foreign else known or None, calibrate_gold, drawn=False)
    if foreign:
        on_all = replace(on_all, notes=(*on_all.notes, foreign.removesuffix(".")))
    people = sorted({vote.person for vote in snapshot.votes})
    on_all = _with_people(on_all, people, accuracy_of_people(snapshot, gold_tasks or {}))
    drawn = _drawn(snapshot.votes, snapshot)
    on_drawn = _analyse(drawn, None, 0, drawn=True) if drawn else None
    if on_drawn is None or not any(figure.items for figure in on_drawn.agreement.values()):
        headline = _measure(snapshot.votes, snapshot)
        return replace(
            on_all,
            headline=headline,
            verdict=judge_coefficient(headline, drawn=False)[1],
            notes=(*on_all.notes, "no task that was drawn for agreement has two votes yet"),
        )
    headline = _measure(drawn, snapshot)
    note = f"agreement on {format_counted(headline.items, 'task', 'tasks')} drawn for it, consensus on all tasks"
    return replace(
        on_all,
        agreement=on_drawn.agreement,
        headline=headline,
        verdict=_read_agreement(drawn, headline).text,
        open_first=on_drawn.open_first,
        pairs=on_drawn.pairs,
        by_label=on_drawn.by_label,
        by_month=_agreement_by_group(drawn, _months_of_tasks(drawn), snapshot),
        by_segment=_agreement_by_group(drawn, segments, snapshot) if segments else {},
        notes=(*on_all.notes, note),
    )


def list_suggestions(store: Store, snapshot: ProjectSnapshot) -> tuple[dict[str, Any], ...]:
    """Return answers that the other people and the model of the last training contradict, the most certain first.

    The model did not learn these answers. Answers that were changed since are left out. A suggestion changes nothing:
    a person should check it.
    """
    last = store.records.get_latest_record(snapshot.project.id, "training")
    labels: dict[int, set[str | None]] = {}
    for vote in snapshot.votes:
        labels.setdefault(vote.task, set()).add(single_label(vote.answer))
    issues = last.body.get("label_issues", ()) if last else ()
    return tuple(dict(issue) for issue in issues if issue["label"] in labels.get(issue["task"], ()))


def agreement_by_guideline(store: Store, snapshot: ProjectSnapshot) -> dict[str, Coefficient]:
    """Return the policy's measure before and since the last change of guideline (label config or instruction), or {}.

    Each side uses only the votes given under its own guideline: a pair across the change would mix two guidelines.
    """
    history = list_guidelines(store, snapshot.project.id)
    if len(history) < 2:
        return {}
    changed = f"{datetime.fromtimestamp(history[-1].at_s, UTC):%Y-%m-%d}"
    drawn = _drawn(snapshot.votes, snapshot)
    figures = {}
    for name, guideline in ((f"before {changed}", history[-2]), (f"since {changed}", history[-1])):
        own = [vote for vote in drawn if guideline_at(history, vote.at_s) == guideline.hash]
        if own:
            figures[name] = _measure(own, snapshot)
    return figures


def _analyse(votes: Sequence[Vote], gold: Mapping[str, Answer] | None, calibrate: int, *, drawn: bool) -> Analysis:
    answers = [vote.answer for vote in votes]
    kind = answers[0].kind
    single = kind == "choices" and all(single_label(answer) is not None for answer in answers)
    return analyse_votes(
        kind,
        [str(vote.task) for vote in votes],
        [vote.person for vote in votes],
        [_to_label(answer, single=single) for answer in answers],
        gold=gold and {task: _to_label(answer, single=single) for task, answer in gold.items()},
        calibrate_gold=calibrate,
        drawn=drawn,
        with_people=False,
    )


def _with_people(found: Analysis, people: Iterable[int], table: AccuracyTable) -> Analysis:
    """Return the analysis with the people of a project, on the sample that every report on people uses."""
    labels = [answer_text(key) for key in table.label_keys]
    unknown = Interval(0.0, 1.0, math.nan)
    alone = Reliability(0, 0, 0, unknown, (unknown,) * len(labels), "others", unknown, (unknown,) * len(labels))
    rows = [reliability_json(person, table.records.get(person, alone), labels) for person in people]
    if table.distances:
        rows = [distance_json(person, record, "others") for person, record in table.distances.items()]
    notes = notes_on_people(labels, list(table.records.values()), table.note)
    return replace(found, annotators=tuple(rows), notes=(*found.notes, *notes))


def _to_label(answer: Answer, *, single: bool) -> Any:
    """Return what `analyse_votes` takes for an answer: a name, a number, or the answer itself."""
    if answer.kind in NUMBER_KINDS:
        return float(answer.value)  # type: ignore[arg-type]
    if answer.kind == "pairwise":
        return answer.value
    return single_label(answer) if single else answer


def _drawn(votes: Sequence[Vote], snapshot: ProjectSnapshot) -> list[Vote]:
    """Return the votes on tasks that were drawn at random for several people."""
    return [vote for vote in votes if vote.task in snapshot.overlap_sample]


def _encode(votes: Sequence[Vote]) -> EncodedVotes:
    return encode_votes([v.task for v in votes], [v.person for v in votes], [v.answer.key for v in votes])


def _agreement_by_group(
    votes: Sequence[Vote], group_of: Mapping[int, Hashable], snapshot: ProjectSnapshot
) -> dict[str, Coefficient]:
    """Return the policy's measure within each group of tasks, for the groups with most tasks.

    `group_of` gives the group of a task id; tasks without a group are left out.
    """
    sizes = Counter(group_of[task] for task in {vote.task for vote in votes} if task in group_of)
    largest = sorted(sizes, key=lambda group: (-sizes[group], str(group)))[:_MAX_GROUPS]
    by_group: dict[Hashable, list[Vote]] = {group: [] for group in sorted(largest, key=str)}
    for vote in votes:
        if (group := group_of.get(vote.task)) in by_group:
            by_group[group].append(vote)
    return {str(group): _measure(own, snapshot) for group, own in by_group.items()}


def _segments_of_tasks(snapshot: ProjectSnapshot, field: str) -> dict[int, str]:
    """Return the value of a field by task id; VotesError where no task has the field."""
    values = {task: field_value(row.data, field) for task, row in snapshot.tasks.items()}
    if all(value is None for value in values.values()):
        fields = sorted({name for row in snapshot.tasks.values() for name in row.data})
        raise VotesError(
            f"no task of project {snapshot.project.id} has the field {field!r}.",
            hint=f"Its tasks have the fields {name_some(fields, most=_MAX_GROUPS)}.",
        )
    return {task: "" if value is None else clean_text(str(value)) for task, value in values.items()}


def _months_of_tasks(votes: Sequence[Vote]) -> dict[int, str]:
    """Return the month, such as "2026-01", in which each task was last answered, by task id."""
    last: dict[int, float] = {}
    for vote in votes:
        last[vote.task] = max(vote.at_s, last.get(vote.task, vote.at_s))
    return {task: f"{datetime.fromtimestamp(at_s, UTC):%Y-%m}" for task, at_s in last.items()}


def _measure(votes: Sequence[Vote], snapshot: ProjectSnapshot) -> Coefficient:
    """Return the policy's measure; alpha as it suits the answers by default, or where its package is not installed."""
    name = snapshot.policy.overlap.measure
    if name != "alpha":
        try:
            return load_measure(name)(_encode(votes).votes)
        except UnknownName as error:
            _LOG.warning("%s", error)
    return alpha_of_answers([vote.task for vote in votes], [vote.answer for vote in votes])


def _read_agreement(votes: Sequence[Vote], figure: Coefficient) -> Interpretation:
    """Explain the agreement on drawn tasks; labels are confused only where answers are labels."""
    named = _encode(votes)
    reading = interpret_agreement(named.votes, [answer_text(str(label)) for label in named.labels], coefficient=figure)
    if votes[0].answer.kind in LABEL_KINDS:
        return reading
    clear, text = judge_coefficient(figure)
    return replace(reading, text=text, clear=clear, confused=None)
