"""Metrics of review by tier and segment: escalation, waiting, breaches, costs, the accuracy of model and reviewers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TypeVar

from feedback.policy import Policy
from feedback.review.case_decisions import leading_answer
from feedback.review.case_triggers import DISAGREEMENT, SKIPPED
from feedback.review.overrides import NOT_GIVEN
from feedback.review.review_task_content import format_answer
from feedback.review.reviewer_accuracy import (
    ReviewerAccuracy,
    compute_reviewer_accuracy,
    lead_time_s,
    lead_times_s,
    reviews_per_hour,
)
from feedback.stats.intervals import Interval, wilson
from feedback.store import CaseEvent, CaseRow, OverrideRow, ReviewRow, Skip, TaskRow, Vote

_HOUR_S = 3600.0
_Row = TypeVar("_Row")
_ARRIVALS = ("open", "reopen", "escalate", "recall")  # events that bring a case to a tier


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """The model's errors on one label, compared with people's answers."""

    label: str
    false_positive: Interval  # share of the answers with other labels for which the model predicted this one
    false_negative: Interval  # share of the answers with this label for which the model predicted another one


@dataclass(frozen=True, slots=True)
class TierMetrics:
    """One tier, or one segment of it. Rates have intervals; times are in seconds, None where nothing was timed."""

    tier: str
    segment: str  # "" for all
    cases: int  # stays at this tier: a case that enters it twice counts twice
    n_open: int
    escalated: Interval  # share of finished stays that went one tier up
    breached: Interval  # share of stays in which a clock ran out
    refused: Interval  # share of reviews that did not count
    no_reason: Interval  # share of changed predictions without a reason
    wait_s: float | None  # median, from entering the tier to the first action
    decide_s: float | None  # median, from entering the tier to its decision
    resolve_s: float | None  # mean, from the opening of a round to its final answer
    n_reviews: int
    handling_s: float | None  # median lead time of a review
    reviews_per_hour: float | None  # of working time
    cost: float | None  # of one decision, as `_cost` computes it; None where nobody has a wage
    labels: tuple[LabelErrors, ...] = ()  # the model's errors against the answers of this tier
    people: tuple[ReviewerAccuracy, ...] = ()


@dataclass(slots=True)
class _Stay:
    """One stay of a case at a tier."""

    case: CaseRow
    tier: str
    opened_s: float  # when this round of the case was opened
    entered_s: float
    started_s: float | None = None
    ended_s: float | None = None
    resolved_s: float | None = None
    end: str = ""  # the event that ended it; "" while it lasts
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
    """Return the metrics of each tier, in the order of the policy.

    `trails` are the events of each case, oldest first; `emails` the address of each user, by which the policy names
    their wages. With `by_segment`, each segment of a tier has metrics of its own after those of the tier.
    """
    stays = [stay for case in cases for stay in _stays(case, trails.get(case.id, ()))]
    case_by_id = {case.id: case for case in cases}
    wages = _wages(policy, emails)
    found: list[TierMetrics] = []
    for tier in policy.tiers:
        segments = sorted({stay.case.segment for stay in stays if stay.tier == tier}) if by_segment else []
        for segment in ("", *segments):
            own_stays = [stay for stay in stays if stay.tier == tier and segment in ("", stay.case.segment)]
            own_reviews = [
                review
                for review in reviews
                if review.tier == tier
                and review.case in case_by_id
                and segment in ("", case_by_id[review.case].segment)
            ]
            rows = [row for row in overrides if row.tier == tier and segment in ("", row.segment)]
            changed = [
                row for row in rows if row.changed and not row.blind
            ]  # who saw no prediction is asked for no reason
            ended = [stay for stay in own_stays if stay.ended_s is not None]
            decided = [stay for stay in ended if stay.end in ("decide", "settle")]
            resolved_s = [stay.resolved_s - stay.opened_s for stay in decided if stay.resolved_s is not None]
            times_s = lead_times_s(own_reviews)
            handling_s = median(times_s) if times_s else (policy.tiers[tier].handling_s or None)
            found.append(
                TierMetrics(
                    tier=tier,
                    segment=segment,
                    cases=len(own_stays),
                    n_open=len(own_stays) - len(ended),
                    escalated=_share(ended, lambda stay: stay.end == "escalate"),
                    breached=_share(own_stays, lambda stay: stay.breaches > 0),
                    refused=_share(own_reviews, lambda review: bool(review.refused)),
                    no_reason=_share(changed, lambda row: row.reason == NOT_GIVEN),
                    wait_s=_median(stay.started_s - stay.entered_s for stay in own_stays if stay.started_s is not None),
                    decide_s=_median(stay.ended_s - stay.entered_s for stay in decided if stay.ended_s is not None),
                    resolve_s=fmean(resolved_s) if resolved_s else None,
                    n_reviews=len(own_reviews),
                    handling_s=handling_s,
                    reviews_per_hour=reviews_per_hour(times_s),
                    cost=_cost(own_reviews, len(decided), wages, handling_s),
                    labels=tuple(compute_label_errors(rows)),
                    people=tuple(compute_reviewer_accuracy(cases, reviews, of=own_reviews)),
                )
            )
    return found


def _share(rows: Sequence[_Row], is_counted: Callable[[_Row], bool]) -> Interval:
    return wilson(sum(map(is_counted, rows)), len(rows))


def _stays(case: CaseRow, events: Sequence[CaseEvent]) -> list[_Stay]:
    """Split the events of a case into its stays at tiers."""
    found: list[_Stay] = []
    opened_s = case.opened_s
    for event in events:
        if event.event in ("open", "reopen"):
            opened_s = event.at_s
        if found and not found[-1].end:
            _update_stay(found[-1], event)
        elif found and event.event == "write":
            found[-1].resolved_s = event.at_s
        if event.event in _ARRIVALS:
            found.append(_Stay(case, event.tier, opened_s, event.at_s))
    if found and found[-1].resolved_s is None and found[-1].end not in ("", "withdraw"):
        found[-1].resolved_s = case.resolved_s
    return found


def _update_stay(stay: _Stay, event: CaseEvent) -> None:
    stay.breaches += bool(event.body.get("breached"))
    if stay.started_s is None and event.event in ("start", "review", "refuse", "ask", "decide", "settle"):
        stay.started_s = event.at_s
    if event.event in (*_ARRIVALS, "decide", "settle", "withdraw"):
        stay.ended_s, stay.end = event.at_s, event.event
        stay.resolved_s = event.at_s if event.event == "settle" else None


def _cost(
    reviews: Sequence[ReviewRow], decided: int, wages: Mapping[int, float], handling_s: float | None
) -> float | None:
    """Return the wages paid for all reviews divided by the number of decisions.

    A review without a lead time counts with `handling_s`, and a person without a wage with the mean wage.
    """
    paid = [review for review in reviews if review.person in wages]
    if not paid or not decided or handling_s is None:
        return None
    usual = fmean(wages[review.person] for review in paid if review.person is not None)
    wage_of = {review.person: wages.get(review.person or 0, usual) for review in reviews}
    paid_times_s = [(review.person, lead_time_s(review) or handling_s) for review in reviews]
    return sum(time_s / _HOUR_S * wage_of[person] for person, time_s in paid_times_s) / decided


def _wages(policy: Policy, emails: Mapping[int, str]) -> dict[int, float]:
    people = {number: policy.person(email) for number, email in emails.items()}
    return {number: person.wage for number, person in people.items() if person and person.wage is not None}


def _median(times: Iterable[float]) -> float | None:
    values = list(times)
    return median(values) if values else None


def compute_label_errors(rows: Iterable[OverrideRow]) -> list[LabelErrors]:
    """Return the model's false positives and false negatives by label; of each task only the newest answer counts."""
    newest: dict[int, OverrideRow] = {}
    for row in sorted(rows, key=lambda row: (row.at_s, row.annotation)):
        if row.shown is not None:
            newest[row.task] = row
    pairs = [(format_answer(row.shown), format_answer(row.answer)) for row in newest.values()]
    return [_label_errors(label, pairs) for label in sorted({label for pair in pairs for label in pair})]


def _label_errors(label: str, pairs: Sequence[tuple[str, str]]) -> LabelErrors:
    others = [predicted for predicted, correct in pairs if correct != label]
    own = [predicted for predicted, correct in pairs if correct == label]
    return LabelErrors(
        label,
        wilson(sum(predicted == label for predicted in others), len(others)),
        wilson(sum(predicted != label for predicted in own), len(own)),
    )


def votes_as_reviews(votes: Iterable[Vote], cases: Sequence[CaseRow], first_tier: str) -> list[ReviewRow]:
    """Return the votes in the source project as reviews of the first tier, so that all tiers are measured alike."""
    case_of_task = {case.task: case for case in cases}
    return [
        ReviewRow(
            review_project=case.project,
            annotation=vote.annotation,
            case=case.id,
            round=1,
            tier=first_tier,
            entered_s=case.opened_s,
            person=vote.person,
            verdict="answer",
            answer=vote.answer,
            at_s=vote.at_s,
            lead_time_s=vote.lead_time_s,
            counted=True,
        )
        for vote in votes
        if (case := case_of_task.get(vote.task)) is not None
    ]


def add_first_tier_stays(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[CaseEvent]],
    votes: Iterable[Vote],
    skips: Iterable[Skip],
    tasks: Iterable[TaskRow],
    queues: Mapping[int, str],
    *,
    first_tier: str,
) -> tuple[list[CaseRow], dict[int, Sequence[CaseEvent]]]:
    """Add a stay in the first tier for each task that people answered or skipped there before it had a case.

    Votes without a case and cases are then measured alike. The stay lasts from the import of the task until people
    agree, or until disagreement or a skip escalates it.

    `trails` are the events of each case, oldest first; `queues` the segment of each task. Returned are all cases and
    their events; a task answered without a case has its negative id as case id.
    """
    all_cases, all_trails = list(cases), dict(trails)
    case_of_task = {case.task: case for case in cases}
    votes_of_task: dict[int, list[Vote]] = {}
    actions_of_task: dict[int, list[tuple[float, int | None]]] = {}
    for vote in votes:
        votes_of_task.setdefault(vote.task, []).append(vote)
        actions_of_task.setdefault(vote.task, []).append((vote.at_s, vote.person))
    for skip in skips:
        actions_of_task.setdefault(skip.task, []).append((skip.at_s, skip.person))
    for task in tasks:
        case = case_of_task.get(task.id)
        actions = sorted(actions_of_task.get(task.id, ()), key=lambda action: action[0])
        if case is None and task.id in votes_of_task:
            new = _case_from_votes(task, votes_of_task[task.id], queues.get(task.id, "default"), first_tier)
            all_cases.append(new)
            all_trails[new.id] = _first_tier_events(new, actions, first_tier, ends=new.state == "resolved")
        elif case is not None and (events := all_trails.get(case.id)) and events[0].tier != first_tier:
            earlier = [action for action in actions if action[0] <= events[0].at_s]
            if events[0].event == "open" and earlier:
                escalated = events[0].body.get("rule", case.rule) in (DISAGREEMENT, SKIPPED)
                opened = replace(case, opened_s=task.created_s or earlier[0][0])
                rest = [replace(events[0], event="escalate"), *events[1:]] if escalated else events
                stay = _first_tier_events(opened, earlier, first_tier, ends=not escalated)
                all_trails[case.id] = [*stay, *rest]
    return all_cases, all_trails


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
    case: CaseRow, actions: Sequence[tuple[float, int | None]], tier: str, *, ends: bool
) -> list[CaseEvent]:
    """Return the events that a case would have had in the first tier; `actions` are (time, person)."""
    (first_s, first), (last_s, last) = actions[0], actions[-1]
    events = [CaseEvent(case.opened_s, "open", "queued", tier), CaseEvent(first_s, "start", "started", tier, first)]
    return [*events, CaseEvent(last_s, "settle", "resolved", tier, last)] if ends else events
