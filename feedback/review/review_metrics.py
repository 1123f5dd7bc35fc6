"""Measured, by tier and segment: escalation, waiting, breaches, costs, the model's errors and the reviewers'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from feedback.policy import Policy
from feedback.review.case_triggers import DISAGREEMENT, SKIPPED
from feedback.review.first_tier import leading_answer
from feedback.review.overrides import NOT_GIVEN
from feedback.review.reviewer_accuracy import (
    LabelErrors,
    ReviewerAccuracy,
    compute_label_errors,
    compute_reviewer_accuracy,
    lead_time_or,
    lead_times_s,
    reviews_per_hour,
)
from feedback.stats import Interval
from feedback.stats.intervals import wilson
from feedback.store import CaseEvent, CaseRow, OverrideRow, ReviewRow, Skip, TaskRow, Vote

_HOUR_S = 3600.0
_ARRIVALS = ("open", "reopen", "escalate", "recall")  # moves that bring a case to a tier


@dataclass(frozen=True, slots=True)
class TierMetrics:
    """One tier, or one segment of it. Rates have intervals; times are seconds, None where there was nothing to time."""

    tier: str
    segment: str  # "" for all
    cases: int  # stays at this tier: a case that comes twice counts twice
    n_open: int
    escalated: Interval  # share of finished stays that went one tier up
    breached: Interval  # share of stays in which a clock ran out
    refused: Interval  # share of looks that did not count
    no_reason: Interval  # share of changed answers without a reason
    wait_s: float | None  # median, from coming to the tier to the first action
    decide_s: float | None  # median, from coming to the tier to its decision
    resolve_s: float | None  # mean, from the opening of a case, or of another round of it, to its final answer
    n_reviews: int
    handling_s: float | None  # median lead time of a look
    reviews_per_hour: float | None  # looks that one hour of work yields
    cost: float | None  # of one decision; whoever has no wage costs what the others do, None where nobody has one
    labels: tuple[LabelErrors, ...] = ()  # the model's errors on what people decided here
    people: tuple[ReviewerAccuracy, ...] = ()  # whoever looked here


@dataclass(frozen=True, slots=True)
class _Stay:
    """One case's time at one tier."""

    case: CaseRow
    tier: str
    begun_s: float  # when this round of the case was opened
    entered_s: float
    started_s: float | None = None
    ended_s: float | None = None
    resolved_s: float | None = None
    how: str = ""  # the event that ended it; "" while it lasts
    breaches: int = 0


def compute_tier_metrics(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[CaseEvent]],
    reviews: Sequence[ReviewRow],
    overrides: Sequence[OverrideRow],
    policy: Policy,
    *,
    emails: Mapping[int, str],
    by_segment: bool = False,
) -> list[TierMetrics]:
    """What each tier did, in the order of the policy; with `by_segment`, each segment of it, too."""
    stays = [stay for case in cases for stay in _stays(case, trails.get(case.id, ()))]
    of_case = {case.id: case for case in cases}
    wages = _wages(policy, emails)
    found: list[TierMetrics] = []
    for tier in policy.tiers:
        segments = sorted({stay.case.segment for stay in stays if stay.tier == tier}) if by_segment else []
        for segment in ("", *segments):
            mine = [stay for stay in stays if stay.tier == tier and segment in ("", stay.case.segment)]
            said = [
                review
                for review in reviews
                if review.tier == tier and review.case in of_case and segment in ("", of_case[review.case].segment)
            ]
            rows = [row for row in overrides if row.tier == tier and segment in ("", row.segment)]
            changed = [row for row in rows if row.changed]
            figure = _tier_metrics(tier, segment, mine, said, changed, wages, policy.tiers[tier].handling_s)
            people = tuple(compute_reviewer_accuracy(cases, reviews, of=said))
            found.append(replace(figure, labels=tuple(compute_label_errors(rows)), people=people))
    return found


def _tier_metrics(
    tier: str,
    segment: str,
    stays: Sequence[_Stay],
    reviews: Sequence[ReviewRow],
    changed: Sequence[OverrideRow],
    wages: Mapping[int, float],
    planned_s: float,
) -> TierMetrics:
    ended = [stay for stay in stays if stay.ended_s is not None]
    decided = [stay for stay in ended if stay.how in ("decide", "settle")]
    times_s = lead_times_s(reviews)
    handling_s = median(times_s) if times_s else (planned_s or None)
    return TierMetrics(
        tier=tier,
        segment=segment,
        cases=len(stays),
        n_open=len(stays) - len(ended),
        escalated=wilson(sum(stay.how == "escalate" for stay in ended), len(ended)),
        breached=wilson(sum(stay.breaches > 0 for stay in stays), len(stays)),
        refused=wilson(sum(bool(review.refused) for review in reviews), len(reviews)),
        no_reason=wilson(sum(row.reason == NOT_GIVEN for row in changed), len(changed)),
        wait_s=_median(stay.started_s - stay.entered_s for stay in stays if stay.started_s is not None),
        decide_s=_median(stay.ended_s - stay.entered_s for stay in decided if stay.ended_s is not None),
        resolve_s=_mean([stay.resolved_s - stay.begun_s for stay in decided if stay.resolved_s is not None]),
        n_reviews=len(reviews),
        handling_s=handling_s,
        reviews_per_hour=reviews_per_hour(times_s),
        cost=_cost(reviews, len(decided), wages, handling_s),
    )


def _stays(case: CaseRow, trail: Sequence[CaseEvent]) -> list[_Stay]:
    """Cut a trail into its stays at tiers."""
    found: list[_Stay] = []
    now: _Stay | None = None
    begun_s = case.opened_s
    for step in trail:
        if step.event in ("open", "reopen"):
            begun_s = step.at_s
        if now is not None:
            now = _after(now, step)
            if now.ended_s is not None:
                found.append(now)
                now = None
        elif step.event == "write" and found:
            found[-1] = replace(found[-1], resolved_s=step.at_s)
        if step.event in _ARRIVALS:
            now = _Stay(case, step.tier, begun_s, step.at_s)
    if now is not None:
        return [*found, now]
    if found and found[-1].resolved_s is None and found[-1].how != "withdraw":
        found[-1] = replace(found[-1], resolved_s=case.resolved_s)
    return found


def _after(stay: _Stay, step: CaseEvent) -> _Stay:
    """A stay once a step of its case was taken."""
    stay = replace(stay, breaches=stay.breaches + bool(step.body.get("breached")))
    if stay.started_s is None and step.event in ("start", "look", "refuse", "ask", "decide", "settle"):
        stay = replace(stay, started_s=step.at_s)
    if step.event in (*_ARRIVALS, "decide", "settle", "withdraw"):
        resolved_s = step.at_s if step.event == "settle" else None
        stay = replace(stay, ended_s=step.at_s, how=step.event, resolved_s=resolved_s)
    return stay


def _cost(
    reviews: Sequence[ReviewRow], decided: int, wages: Mapping[int, float], handling_s: float | None
) -> float | None:
    """Wages of all looks over the decisions that came of them.

    A look without a lead time takes the usual time, and whoever has no wage costs what the others do on average.
    """
    paid = [review for review in reviews if review.person in wages]
    if not paid or not decided or handling_s is None:
        return None
    usual = fmean(wages[review.person] for review in paid if review.person is not None)
    wage_of = {review.person: wages.get(review.person or 0, usual) for review in reviews}
    return sum(lead_time_or(review, handling_s) / _HOUR_S * wage_of[review.person] for review in reviews) / decided


def _wages(policy: Policy, emails: Mapping[int, str]) -> dict[int, float]:
    found: dict[int, float] = {}
    for number, email in emails.items():
        person = policy.person(email)
        if person is not None and person.wage is not None:
            found[number] = person.wage
    return found


def _median(times: Iterable[float]) -> float | None:
    given = list(times)
    return median(given) if given else None


def _mean(times: Sequence[float]) -> float | None:
    return sum(times) / len(times) if times else None


@dataclass(frozen=True, slots=True)
class MeasuredCases:
    """Cases and trails of review and of the everyday; what is no case has the number of its task below 0."""

    cases: list[CaseRow]
    trails: dict[int, list[CaseEvent]]


def add_first_tier_stays(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[CaseEvent]],
    votes: Iterable[Vote],
    skips: Iterable[Skip],
    tasks: Iterable[TaskRow],
    queues: Mapping[int, str],
    *,
    first_tier: str,
) -> MeasuredCases:
    """Add a stay in the first tier to every task that people answered or skipped there before it had a case, if ever.

    It lasts from the import until people agree, or their disagreement or a skip sends it up. `queues` name the segment
    of each task.
    """
    found = MeasuredCases(list(cases), {number: list(steps) for number, steps in trails.items()})
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
            made = _case_from_votes(task, said[task.id], queues.get(task.id, "default"), first_tier)
            found.cases.append(made)
            found.trails[made.id] = _first_tier_events(made, mine, first_tier, ends=made.state == "resolved")
        elif case is not None and (trail := found.trails.get(case.id)) and trail[0].tier != first_tier:
            before = [one for one in mine if one[0] <= trail[0].at_s]
            if trail[0].event == "open" and before:
                up = trail[0].body.get("rule", case.rule) in (DISAGREEMENT, SKIPPED)
                begun = replace(case, opened_s=task.created_s or before[0][0])
                rest = [replace(trail[0], event="escalate"), *trail[1:]] if up else trail
                found.trails[case.id] = [*_first_tier_events(begun, before, first_tier, ends=not up), *rest]
    return found


def _case_from_votes(task: TaskRow, votes: Sequence[Vote], queue: str, first_tier: str) -> CaseRow:
    answer = leading_answer(votes)
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


def _first_tier_events(
    case: CaseRow, acted: Sequence[tuple[float, int | None]], tier: str, *, ends: bool
) -> list[CaseEvent]:
    """The steps of a stay in the first tier, which nobody wrote down."""
    (first_s, first), (last_s, last) = acted[0], acted[-1]
    steps = [CaseEvent(case.opened_s, "open", "queued", tier), CaseEvent(first_s, "start", "started", tier, first)]
    return [*steps, CaseEvent(last_s, "settle", "resolved", tier, last)] if ends else steps
