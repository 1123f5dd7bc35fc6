"""The everyday: what the first tier answered without a case, as cases, so that all tiers are measured alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from feedback.review.case_triggers import DISAGREEMENT, SKIPPED
from feedback.review.first_tier import leading
from feedback.store import CaseEvent, CaseRow, Skip, TaskRow, Vote


@dataclass(frozen=True, slots=True)
class Everyday:
    """Cases and trails of review and of the everyday; what is no case has the number of its task below 0."""

    cases: list[CaseRow]
    trails: dict[int, list[CaseEvent]]


def everyday(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[CaseEvent]],
    votes: Iterable[Vote],
    skips: Iterable[Skip],
    tasks: Iterable[TaskRow],
    queues: Mapping[int, str],
    *,
    first_tier: str,
) -> Everyday:
    """Add a stay in the first tier to every task that people answered or skipped there before it had a case, if ever.

    It lasts from the import until people agree, or their disagreement or a skip sends it up. `queues` name the segment
    of each task.
    """
    found = Everyday(list(cases), {number: list(steps) for number, steps in trails.items()})
    case_of = {case.task: case for case in cases}
    said: dict[int, list[Vote]] = {}
    acted: dict[int, list[tuple[float, int | None]]] = {}
    for vote in votes:
        said.setdefault(vote.task, []).append(vote)
        acted.setdefault(vote.task, []).append((vote.at_s, vote.person))
    for skip in skips:
        acted.setdefault(skip.task, []).append((skip.at_s, skip.person))
    for task in tasks:
        case, mine = case_of.get(task.id), sorted(acted.get(task.id, ()), key=lambda one: one[0])
        if case is None and task.id in said:
            made = _case(task, said[task.id], queues.get(task.id, "default"), first_tier)
            found.cases.append(made)
            found.trails[made.id] = _stay(made, mine, first_tier, ends=made.state == "resolved")
        elif case is not None and (trail := found.trails.get(case.id)) and trail[0].tier != first_tier:
            before = [one for one in mine if one[0] <= trail[0].at_s]
            if trail[0].event == "open" and before:
                up = trail[0].body.get("rule", case.rule) in (DISAGREEMENT, SKIPPED)
                begun = replace(case, opened_s=task.created_s or before[0][0])
                rest = [replace(trail[0], event="escalate"), *trail[1:]] if up else trail
                found.trails[case.id] = [*_stay(begun, before, first_tier, ends=not up), *rest]
    return found


def _case(task: TaskRow, votes: Sequence[Vote], queue: str, first_tier: str) -> CaseRow:
    answer = leading(votes)
    done = task.is_labeled and answer is not None
    last_s = max(vote.at_s for vote in votes)
    return CaseRow(
        project="",
        task=task.id,
        state="resolved" if done else "started",
        tier=first_tier,
        id=-task.id,
        segment=queue,
        opened_s=task.created_s or min(vote.at_s for vote in votes),
        answer=answer if done else None,
        resolved_s=last_s if done else None,
    )


def _stay(case: CaseRow, acted: Sequence[tuple[float, int | None]], tier: str, *, ends: bool) -> list[CaseEvent]:
    """The steps of a stay in the first tier, which nobody wrote down."""
    (first_s, first), (last_s, last) = acted[0], acted[-1]
    steps = [CaseEvent(case.opened_s, "open", "queued", tier), CaseEvent(first_s, "start", "started", tier, first)]
    return [*steps, CaseEvent(last_s, "settle", "resolved", tier, last)] if ends else steps
