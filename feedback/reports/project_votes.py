"""A connected project's votes as an analysis: agreement on the tasks drawn for it, consensus on all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from feedback.agreement.interpretation import judge_coefficient
from feedback.annotators.cell_parsing import parse_cell
from feedback.errors import VotesError
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import agreement_by_group, months_of_tasks
from feedback.reports.distance_analysis import analyse_answers, analyse_numbers
from feedback.reports.vote_analysis import Analysis, analyse
from feedback.reports.votes_file import NUMBER_KINDS, UNCALIBRATED
from feedback.store import Store, Vote
from feedback.training.dataset import single_label
from feedback.votes import encode_votes
from ml_backend.records import Answer


def analyse_project(
    snapshot: ProjectSnapshot, *, gold: Mapping[str, str] | None = None, calibrate_gold: int = 0, segment: str = ""
) -> Analysis:
    """Analyse the latest answers of people: agreement on the tasks drawn for it, consensus on all tasks.

    Without drawn tasks, agreement is shown on all tasks but not interpreted: tasks that were chosen for several people
    because they are hard make people look worse than they are.

    Parameters
    ----------
    gold
        Gold answers by task id, as cells of a file; None uses the gold tasks of the project.
    calibrate_gold
        Number of gold answers that calibrate the confidence; the others score it.
    segment
        A field of the tasks; agreement is also measured within each of its values.

    Raises
    ------
    VotesError
        The project has no votes, or a gold answer is not of the type of the votes.
    """
    if not snapshot.votes:
        raise VotesError(f"project {snapshot.project.id} has no votes on {snapshot.control.name!r} yet.")
    kind = snapshot.votes[0].answer.kind
    from_file = {task: parse_cell(cell, kind, where=f"gold of {task}") for task, cell in (gold or {}).items()}
    answered = {vote.task for vote in snapshot.votes}
    in_store = {str(task): answer for task, answer in snapshot.book.items() if task in answered and answer.kind == kind}
    on_all = _analyse(snapshot.votes, from_file or in_store or None, calibrate_gold, drawn=False)
    drawn = [vote for vote in snapshot.votes if vote.task in snapshot.overlap_sample]
    on_drawn = _analyse(drawn, None, 0, drawn=True) if drawn else None
    if on_drawn is None or not any(figure.items for figure in on_drawn.agreement.values()):
        return replace(
            on_all,
            verdict=judge_coefficient(on_all.agreement["alpha"], drawn=False)[1],
            notes=(*on_all.notes, "no task that was drawn for agreement has two votes yet"),
        )
    segments = {task: str(row.data.get(segment, "")) for task, row in snapshot.tasks.items()} if segment else {}
    note = f"agreement on {len({vote.task for vote in drawn})} tasks drawn for it, all else on all tasks"
    return replace(
        on_all,
        agreement=on_drawn.agreement,
        verdict=on_drawn.verdict,
        pairs=on_drawn.pairs,
        by_label=on_drawn.by_label,
        by_month=agreement_by_group(drawn, months_of_tasks(drawn)),
        by_segment=agreement_by_group(drawn, segments) if segments else {},
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


def _analyse(votes: Sequence[Vote], gold: Mapping[str, Answer] | None, calibrate: int, *, drawn: bool) -> Analysis:
    tasks, people = [str(vote.task) for vote in votes], [vote.person for vote in votes]
    answers = [vote.answer for vote in votes]
    kind = answers[0].kind
    numeric, known = kind in NUMBER_KINDS, dict[Hashable, Any]()
    notes = (UNCALIBRATED,) if calibrate else ()
    for task, answer in (gold or {}).items():
        known[task] = float(answer.value) if numeric else answer  # type: ignore[arg-type]
    if kind == "choices" and all(single_label(answer) is not None for answer in answers):
        labels = [single_label(answer) for answer in answers]
        names = {task: single_label(answer) for task, answer in known.items()}
        return analyse(encode_votes(tasks, people, labels), gold=names or None, calibrate_gold=calibrate, drawn=drawn)
    if kind == "pairwise":
        sides = {task: answer.value for task, answer in known.items()}
        named = encode_votes(tasks, people, [answer.value for answer in answers])
        return analyse(named, gold=sides or None, calibrate_gold=calibrate, drawn=drawn)
    if numeric:
        values = [float(answer.value) for answer in answers]  # type: ignore[arg-type]
        if kind == "number":
            return analyse_numbers(tasks, people, values, gold=known or None, notes=notes)
        named = encode_votes(tasks, people, values)
        return analyse(named, ordered=True, gold=known or None, calibrate_gold=calibrate, drawn=drawn)
    return analyse_answers(kind, tasks, people, answers, gold=known or None, notes=notes)
