"""Agreement in a connected project, on the tasks drawn for it; the analysis of its votes for `hitl agree`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from feedback.agreement import Coefficient, cohen_kappa, load_measure, percent_agreement
from feedback.agreement.interpretation import interpret_agreement, judge_coefficient, per_group_agreement
from feedback.errors import VotesError
from feedback.project.guidelines import guideline_at, list_guidelines
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.formatting import answer_text
from feedback.reports.vote_analysis import NUMBER_KINDS, Analysis, analyse_votes
from feedback.reports.votes_file import parse_cell
from feedback.store import Store, Vote
from feedback.training.dataset import single_label
from feedback.votes import EncodedVotes, Votes, encode_votes
from ml_backend.errors import UnknownName
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
_MAX_GROUPS = 20  # those with most tasks


def agreement_figures(snapshot: ProjectSnapshot) -> dict[str, Any] | None:
    """Return percent agreement and Cohen's kappa with intervals; None where no drawn task has two votes.

    Only tasks drawn for several people count: tasks chosen because they are hard would make people look worse than
    they are. Two answers agree where they are equal; `hitl agree` measures regions and numbers by distance.

    Returns
    -------
    dict
        `reading` explains the policy's own measure (`overlap.measure`) in sentences, `clear` is its verdict,
        `confused_labels` are the two labels that people confuse most, and `open_first` the tasks to look at.
    """
    named = _encode(_drawn(snapshot.votes, snapshot))
    votes = named.votes
    agreed = percent_agreement(votes) if len(votes) else None
    if agreed is None or not agreed.items:
        return None
    kappa = cohen_kappa(votes)
    name = snapshot.policy.overlap.measure
    figure = kappa if name == "cohen" else _measure_by_name(votes, name)
    reading = interpret_agreement(votes, [answer_text(str(label)) for label in named.labels], coefficient=figure)
    confused = reading.confused
    return {
        "percent": agreed.to_json(),
        "kappa": kappa.to_json(),
        "reading": reading.text,
        "clear": reading.clear,
        "confused_labels": confused and {"answers": list(confused[:2]), "share": round(confused[2], 4)},
        "open_first": [named.tasks[code] for code in reading.open_first],
    }


def analyse_project(
    snapshot: ProjectSnapshot, *, gold: Mapping[str, str] | None = None, calibrate_gold: int = 0, segment: str = ""
) -> Analysis:
    """Analyse the latest answers of people: agreement on the tasks drawn for it, consensus on all tasks.

    Without drawn tasks, agreement is shown on all tasks but not interpreted: tasks that were chosen for several people
    because they are hard make people look worse than they are.

    `gold` are answers by task id, as `read_gold` returns them; None uses the gold tasks of the project. `segment` is a
    field of the tasks; agreement is also measured within each of its values. VotesError where the project has no votes,
    or a gold answer is not of their type.
    """
    if not snapshot.votes:
        raise VotesError(f"project {snapshot.project.id} has no votes on {snapshot.control.name!r} yet.")
    kind = snapshot.votes[0].answer.kind
    from_file = {task: parse_cell(cell, kind, where=f"gold of {task}") for task, cell in (gold or {}).items()}
    answered = {vote.task for vote in snapshot.votes}
    in_store = {str(task): answer for task, answer in snapshot.book.items() if task in answered and answer.kind == kind}
    on_all = _analyse(snapshot.votes, from_file or in_store or None, calibrate_gold, drawn=False)
    drawn = _drawn(snapshot.votes, snapshot)
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
        by_month=_agreement_by_group(drawn, _months_of_tasks(drawn)),
        by_segment=_agreement_by_group(drawn, segments) if segments else {},
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
    """Return Cohen's kappa before and since the last change of guideline (label config or instruction), or {}.

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
            figures[name] = cohen_kappa(_encode(own).votes)
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
    )


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


def _agreement_by_group(votes: Sequence[Vote], group_of: Mapping[int, Hashable]) -> dict[str, Coefficient]:
    """Return Cohen's kappa within each group of tasks, for the groups with most tasks.

    `group_of` gives the group of a task id; tasks without a group are left out.
    """
    sizes = Counter(group_of[task] for task in {vote.task for vote in votes} if task in group_of)
    largest = sorted(sizes, key=lambda group: (-sizes[group], str(group)))[:_MAX_GROUPS]
    code_of = {group: code for code, group in enumerate(sorted(largest, key=str))}
    named = _encode(votes)
    codes = [code_of.get(group_of.get(task), -1) for task in named.tasks]  # type: ignore[call-overload]
    figures = per_group_agreement(named.votes, np.array(codes, dtype=np.int64), measure=cohen_kappa)
    return {str(group): figures[code] for group, code in code_of.items() if code in figures}


def _months_of_tasks(votes: Sequence[Vote]) -> dict[int, str]:
    """Return the month, such as "2026-01", in which each task was last answered, by task id."""
    last: dict[int, float] = {}
    for vote in votes:
        last[vote.task] = max(vote.at_s, last.get(vote.task, vote.at_s))
    return {task: f"{datetime.fromtimestamp(at_s, UTC):%Y-%m}" for task, at_s in last.items()}


def _measure_by_name(votes: Votes, name: str) -> Coefficient | None:
    """Return the policy's measure; None, which selects the default, where its package is not installed."""
    try:
        return load_measure(name)(votes)
    except UnknownName as error:
        _LOG.warning("%s", error)
        return None
