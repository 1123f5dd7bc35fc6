"""A connected project's votes as an analysis: agreement on the tasks drawn for it, consensus on all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.annotators.cell_parsing import read_cell
from feedback.errors import VotesError
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import agreement_by_group, months_of_tasks
from feedback.reports.distance_analysis import analyse_answers, analyse_numbers
from feedback.reports.vote_analysis import Analysis, analyse
from feedback.reports.votes_file import NUMBER_KINDS, UNCALIBRATED
from feedback.store import Store, Vote
from feedback.training.dataset import single_label
from feedback.votes import name_columns
from ml_backend.records import Answer


def analyse_scene(
    snapshot: ProjectSnapshot, *, gold: Mapping[str, str] | None = None, calibrate_gold: int = 0, segment: str = ""
) -> Analysis:
    """Analyse people's latest answers; `gold` holds known answers by task id, as cells of a file; else the gold book.
    `segment` names a field of the tasks by which agreement is told as well, as it is by month.

    Agreement and its verdict rest on the tasks that were drawn for several votes. Tasks that were chosen because they
    are hard would slander the people: without drawn ones the figures are shown, and the verdict says what they are.
    """
    if not snapshot.votes:
        raise VotesError(f"project {snapshot.project.id} has no votes on {snapshot.control.name!r} yet.")
    kind = snapshot.votes[0].answer.kind
    told = {task: read_cell(cell, kind, where=f"gold of {task}") for task, cell in (gold or {}).items()}
    answered = {vote.task for vote in snapshot.votes}
    book = {str(task): answer for task, answer in snapshot.book.items() if task in answered and answer.kind == kind}
    found = _analyse(snapshot.votes, told or book or None, calibrate_gold, drawn=False)
    doubled = [vote for vote in snapshot.votes if vote.task in snapshot.doubled]
    on_drawn = _analyse(doubled, None, 0, drawn=True) if doubled else None
    if on_drawn is None or not any(figure.items for figure in on_drawn.agreement.values()):
        shown = f"{found.agreement['alpha']}, chosen because they are hard: shown, not judged."
        return replace(
            found, verdict=shown, notes=(*found.notes, "no task that was drawn for agreement has two votes yet")
        )
    group = {task: str(snapshot.tasks[task].data.get(segment, "")) for task in snapshot.tasks} if segment else {}
    on_drawn = replace(
        on_drawn,
        by_month=agreement_by_group(doubled, months_of_tasks(doubled)),
        by_segment=agreement_by_group(doubled, group) if group else {},
    )
    said = f"agreement on {len({vote.task for vote in doubled})} tasks drawn for it, the rest on all"
    return replace(
        found,
        agreement=on_drawn.agreement,
        verdict=on_drawn.verdict,
        pairs=on_drawn.pairs,
        by_label=on_drawn.by_label,
        by_month=on_drawn.by_month,
        by_segment=on_drawn.by_segment,
        notes=(*found.notes, said),
    )


def suggestions(store: Store, snapshot: ProjectSnapshot) -> tuple[dict[str, Any], ...]:
    """Answers that people and the model of the last training, which never learned them, doubt together.

    Those that were changed since are left out; each is for a person to look at, and changes nothing by itself.
    """
    last = store.records.get_latest_record(snapshot.project.id, "training")
    said: dict[int, set[str | None]] = {}
    for vote in snapshot.votes:
        said.setdefault(vote.task, set()).add(single_label(vote.answer))
    doubts = last.body.get("doubts", ()) if last else ()
    return tuple(dict(doubt) for doubt in doubts if doubt["said"] in said.get(doubt["task"], ()))


def _analyse(votes: Sequence[Vote], gold: Mapping[str, Answer] | None, calibrate: int, *, drawn: bool) -> Analysis:
    tasks, people = [str(vote.task) for vote in votes], [vote.person for vote in votes]
    answers = [vote.answer for vote in votes]
    kind = answers[0].kind
    numeric, known = kind in NUMBER_KINDS, dict[Hashable, Any]()
    passed_over = (UNCALIBRATED,) if calibrate else ()
    for task, answer in (gold or {}).items():
        known[task] = float(answer.value) if numeric else answer  # type: ignore[arg-type]
    if kind == "choices" and all(single_label(answer) is not None for answer in answers):
        labels = [single_label(answer) for answer in answers]
        names = {task: single_label(answer) for task, answer in known.items()}
        return analyse(name_columns(tasks, people, labels), gold=names or None, calibrate_gold=calibrate, drawn=drawn)
    if kind == "pairwise":
        sides = {task: answer.value for task, answer in known.items()}
        named = name_columns(tasks, people, [answer.value for answer in answers])
        return analyse(named, gold=sides or None, calibrate_gold=calibrate, drawn=drawn)
    if numeric:
        values = [float(answer.value) for answer in answers]  # type: ignore[arg-type]
        if kind == "number":
            return analyse_numbers(tasks, people, values, gold=known or None, notes=passed_over)
        named = name_columns(tasks, people, values)
        return analyse(named, ordered=True, gold=known or None, calibrate_gold=calibrate, drawn=drawn)
    return analyse_answers(kind, tasks, people, answers, gold=known or None, notes=passed_over)
