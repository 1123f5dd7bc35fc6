"""Measured, by tier and segment: escalation, waiting, breaches, costs, the model's errors and the reviewers'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from feedback.policy import Policy
from feedback.review.overrides import NOT_GIVEN
from feedback.review.reviewer_accuracy import Errors, Reviewer, an_hour, lead, leads, model_errors, reviewers
from feedback.stats import Interval
from feedback.stats.intervals import wilson
from feedback.store import CaseEvent, CaseRow, OverrideRow, ReviewRow

_HOUR_S = 3600.0
_COMES = ("open", "reopen", "escalate", "recall")  # moves that bring a case to a tier


@dataclass(frozen=True, slots=True)
class Figures:
    """One tier, or one segment of it. Rates have intervals; times are seconds, None where there was nothing to time."""

    tier: str
    segment: str  # "" for all
    cases: int  # stays at this tier: a case that comes twice counts twice
    live: int
    escalated: Interval  # share of finished stays that went one tier up
    breached: Interval  # share of stays in which a clock ran out
    refused: Interval  # share of looks that did not count
    no_reason: Interval  # share of changed answers without a reason
    wait_s: float | None  # median, from coming to the tier to the first action
    decide_s: float | None  # median, from coming to the tier to its decision
    resolve_s: float | None  # mean, from the opening of a case, or of another round of it, to its final answer
    looks: int
    handling_s: float | None  # median lead time of a look
    an_hour: float | None  # looks that one hour of work yields
    cost: float | None  # of one decision; whoever has no wage costs what the others do, None where nobody has one
    labels: tuple[Errors, ...] = ()  # the model's errors on what people decided here
    people: tuple[Reviewer, ...] = ()  # whoever looked here


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


def figures(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[CaseEvent]],
    looks: Sequence[ReviewRow],
    overrides: Sequence[OverrideRow],
    policy: Policy,
    *,
    emails: Mapping[int, str],
    by_segment: bool = False,
) -> list[Figures]:
    """What each tier did, in the order of the policy; with `by_segment`, each segment of it, too."""
    stays = [stay for case in cases for stay in _stays(case, trails.get(case.id, ()))]
    of_case = {case.id: case for case in cases}
    wages = _wages(policy, emails)
    found: list[Figures] = []
    for tier in policy.tiers:
        segments = sorted({stay.case.segment for stay in stays if stay.tier == tier}) if by_segment else []
        for segment in ("", *segments):
            mine = [stay for stay in stays if stay.tier == tier and segment in ("", stay.case.segment)]
            said = [
                look
                for look in looks
                if look.tier == tier and look.case in of_case and segment in ("", of_case[look.case].segment)
            ]
            rows = [row for row in overrides if row.tier == tier and segment in ("", row.segment)]
            changed = [row for row in rows if row.changed]
            figure = _figures(tier, segment, mine, said, changed, wages, policy.tiers[tier].handling_s)
            people = tuple(reviewers(cases, looks, of=said))
            found.append(replace(figure, labels=tuple(model_errors(rows)), people=people))
    return found


def _figures(
    tier: str,
    segment: str,
    stays: Sequence[_Stay],
    looks: Sequence[ReviewRow],
    changed: Sequence[OverrideRow],
    wages: Mapping[int, float],
    planned_s: float,
) -> Figures:
    ended = [stay for stay in stays if stay.ended_s is not None]
    decided = [stay for stay in ended if stay.how in ("decide", "settle")]
    times_s = leads(looks)
    handling_s = median(times_s) if times_s else (planned_s or None)
    return Figures(
        tier=tier,
        segment=segment,
        cases=len(stays),
        live=len(stays) - len(ended),
        escalated=wilson(sum(stay.how == "escalate" for stay in ended), len(ended)),
        breached=wilson(sum(stay.breaches > 0 for stay in stays), len(stays)),
        refused=wilson(sum(bool(look.refused) for look in looks), len(looks)),
        no_reason=wilson(sum(row.reason == NOT_GIVEN for row in changed), len(changed)),
        wait_s=_median(stay.started_s - stay.entered_s for stay in stays if stay.started_s is not None),
        decide_s=_median(stay.ended_s - stay.entered_s for stay in decided if stay.ended_s is not None),
        resolve_s=_mean([stay.resolved_s - stay.begun_s for stay in decided if stay.resolved_s is not None]),
        looks=len(looks),
        handling_s=handling_s,
        an_hour=an_hour(times_s),
        cost=_cost(looks, len(decided), wages, handling_s),
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
        if step.event in _COMES:
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
    if step.event in (*_COMES, "decide", "settle", "withdraw"):
        resolved_s = step.at_s if step.event == "settle" else None
        stay = replace(stay, ended_s=step.at_s, how=step.event, resolved_s=resolved_s)
    return stay


def _cost(
    looks: Sequence[ReviewRow], decided: int, wages: Mapping[int, float], handling_s: float | None
) -> float | None:
    """Wages of all looks over the decisions that came of them.

    A look without a lead time takes the usual time, and whoever has no wage costs what the others do on average.
    """
    paid = [look for look in looks if look.person in wages]
    if not paid or not decided or handling_s is None:
        return None
    usual = fmean(wages[look.person] for look in paid if look.person is not None)
    wage_of = {look.person: wages.get(look.person or 0, usual) for look in looks}
    return sum(lead(look, handling_s) / _HOUR_S * wage_of[look.person] for look in looks) / decided


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
