"""A connected project's votes as an analysis: agreement on the tasks drawn for it, consensus on all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from feedback.errors import VotesError
from feedback.learning.scene import Scene
from feedback.reports.analysis import Analysis, analyse
from feedback.reports.kinds import NUMBERS
from feedback.reports.quantities import analyse_answers, analyse_numbers
from feedback.store import Vote
from feedback.votes import name_columns


def analyse_scene(scene: Scene, *, gold: Mapping[str, str] | None = None, calibrate_gold: int = 0) -> Analysis:
    """Analyse people's latest answers; `gold` answers labels by task id.

    Agreement and its verdict rest on the tasks that were drawn for several votes. Tasks that were chosen because they
    are hard would slander the people: without drawn ones the figures are shown, and the verdict says what they are.
    """
    if not scene.votes:
        raise VotesError(f"project {scene.project.id} has no votes on {scene.control.name!r} yet.")
    found = _analyse(scene.votes, gold, calibrate_gold, drawn=False)
    doubled = [vote for vote in scene.votes if vote.task in scene.doubled]
    on_drawn = _analyse(doubled, None, 0, drawn=True) if doubled else None
    if on_drawn is None or not any(figure.items for figure in on_drawn.agreement.values()):
        shown = f"{found.agreement['alpha']}, chosen because they are hard: shown, not judged."
        return replace(
            found, verdict=shown, notes=(*found.notes, "no task that was drawn for agreement has two votes yet")
        )
    said = f"agreement on {len({vote.task for vote in doubled})} tasks drawn for it, the rest on all"
    return replace(found, agreement=on_drawn.agreement, verdict=on_drawn.verdict, notes=(*found.notes, said))


def _analyse(votes: Sequence[Vote], gold: Mapping[str, str] | None, calibrate: int, *, drawn: bool) -> Analysis:
    tasks, people = [str(vote.task) for vote in votes], [vote.person for vote in votes]
    answers = [vote.answer for vote in votes]
    kind = answers[0].kind
    if kind == "choices" and all(len(answer.value) == 1 for answer in answers):  # type: ignore[arg-type]
        labels = [answer.value[0] for answer in answers]  # type: ignore[index]
        known = cast("Mapping[Hashable, Hashable] | None", gold)
        return analyse(name_columns(tasks, people, labels), gold=known, calibrate_gold=calibrate, drawn=drawn)
    if gold is not None:
        raise VotesError("gold answers are compared for single choices only.", hint="Export the votes; use --votes.")
    if kind == "pairwise":
        return analyse(name_columns(tasks, people, [answer.value for answer in answers]), drawn=drawn)
    if kind in NUMBERS:
        values = [float(answer.value) for answer in answers]  # type: ignore[arg-type]
        if kind == "number":
            return analyse_numbers(tasks, people, values)
        return analyse(name_columns(tasks, people, values), ordered=True, drawn=drawn)
    return analyse_answers(kind, tasks, people, answers)
