"""Measured: escalation, waiting, breaches, errors of the model and of reviewers, and costs, by tier and segment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from feedback.evidence import Interval
from feedback.evidence.intervals import wilson
from feedback.policy import Policy
from feedback.review.context import words
from feedback.review.honeypots import ROUND as HONEYPOT
from feedback.review.reasons import NOT_GIVEN
from feedback.store import CaseRow, LookRow, OverrideRow, StepRow, Vote

_LONGEST_LOOK_S = 3600.0  # a longer lead time is a tab left open over lunch
_HOUR_S = 3600.0


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
    resolve_s: float | None  # mean, from the opening of a case to its final answer
    looks: int
    handling_s: float | None  # median lead time of a look
    an_hour: float | None  # looks that one hour of work yields
    cost: float | None  # of one decision, by wages; None where no wage is known


@dataclass(frozen=True, slots=True)
class Errors:
    """How often the model was wrong about one label, held against what people decided."""

    label: str
    false_positive: Interval  # share of answers that were not this label on which the model said it
    false_negative: Interval  # share of answers that were this label on which the model said another


@dataclass(frozen=True, slots=True)
class Reviewer:
    """One reviewer held against others: of the same panel, of the tier above, or a second look."""

    person: int
    looks: int
    refused: int
    compared: int
    accuracy: Interval  # share of compared answers that the others gave, too
    an_hour: float | None


@dataclass(frozen=True, slots=True)
class _Stay:
    """One case's time at one tier."""

    case: CaseRow
    tier: str
    entered_s: float
    started_s: float | None
    ended_s: float | None
    how: str  # the event that ended it; "" while it lasts
    breaches: int


def figures(
    cases: Sequence[CaseRow],
    trails: Mapping[int, Sequence[StepRow]],
    looks: Sequence[LookRow],
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
            changed = [row for row in overrides if row.changed and row.tier == tier and segment in ("", row.segment)]
            found.append(_figures(tier, segment, mine, said, changed, wages, policy.tiers[tier].handling_s))
    return found


def model_errors(rows: Iterable[OverrideRow], *, blind: bool | None = None) -> list[Errors]:
    """False positives and negatives of the model by label, one row a human answer; newest answers of a task win.

    `blind=True` keeps only answers of people who saw nothing: what is shown pulls people to itself.
    """
    newest: dict[int, OverrideRow] = {}
    for row in sorted(rows, key=lambda row: (row.at_s, row.annotation)):
        if row.shown is not None and blind in (None, row.blind):
            newest[row.task] = row
    pairs = [(words(row.shown), words(row.said)) for row in newest.values()]
    return [_errors(label, pairs) for label in sorted({label for pair in pairs for label in pair})]


def _errors(label: str, pairs: Sequence[tuple[str, str]]) -> Errors:
    others = [said for said, right in pairs if right != label]
    own = [said for said, right in pairs if right == label]
    return Errors(
        label,
        wilson(sum(said == label for said in others), len(others)),
        wilson(sum(said != label for said in own), len(own)),
    )


def reviewers(cases: Sequence[CaseRow], looks: Sequence[LookRow]) -> list[Reviewer]:
    """Each reviewer against the final answer that others alone would have given; those who most surely err first.

    Leave-one-out: a final answer counts as a comparison only where somebody else's look gave it, so that nobody's own
    vote confirms itself. A honeypot always compares.
    """
    of_case = {case.id: case for case in cases}
    by_case: dict[int, list[LookRow]] = {}
    for look in looks:
        by_case.setdefault(look.case, []).append(look)
    found: list[Reviewer] = []
    for person in sorted({look.person for look in looks if look.person is not None}):
        mine = [look for look in looks if look.person == person]
        right = compared = 0
        for look in mine:
            case = of_case.get(look.case)
            if look.round == HONEYPOT and case is not None:
                compared += 1
                right += look.answer == case.answer
                continue
            if not look.counted or look.answer is None or case is None or case.answer is None:
                continue
            others = [one for one in by_case[look.case] if one.person != person and one.counted]
            if any(one.answer == case.answer for one in others) or _differ(others, look):
                compared += 1
                right += look.answer == case.answer
        refused = sum(bool(look.refused) for look in mine)
        found.append(Reviewer(person, len(mine), refused, compared, wilson(right, compared), _an_hour(_leads(mine))))
    return sorted(found, key=lambda one: (one.accuracy.high, one.person))


def as_looks(votes: Iterable[Vote], cases: Sequence[CaseRow], first_tier: str) -> list[LookRow]:
    """Votes in the source project as looks of the first tier, so that all tiers are measured alike."""
    of_task = {case.task: case for case in cases}
    return [
        LookRow(
            review_project=case.project,
            annotation=vote.annotation,
            case=case.id,
            round=1,
            tier=first_tier,
            entered_s=case.opened_s,
            person=vote.person,
            verdict="answer",
            answer=vote.answer,
            reason="",
            comment="",
            feedback={},
            shown=None,
            seen="",
            at_s=vote.at_s,
            lead_time_s=vote.lead_time_s,
            counted=True,
            refused="",
        )
        for vote in votes
        if (case := of_task.get(vote.task)) is not None
    ]


def _differ(others: Sequence[LookRow], look: LookRow) -> bool:
    """Whether others agree among themselves on another answer than this look."""
    answers = {one.answer for one in others if one.answer is not None}
    return len(answers) == 1 and look.answer not in answers and len(others) > 1


def _figures(
    tier: str,
    segment: str,
    stays: Sequence[_Stay],
    looks: Sequence[LookRow],
    changed: Sequence[OverrideRow],
    wages: Mapping[int, float],
    planned_s: float,
) -> Figures:
    ended = [stay for stay in stays if stay.ended_s is not None]
    decided = [stay for stay in ended if stay.how in ("decide", "settle")]
    resolved = [stay.case for stay in decided if stay.case.resolved_s is not None]
    leads = _leads(looks)
    handling_s = median(leads) if leads else (planned_s or None)
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
        resolve_s=_mean([(case.resolved_s or 0.0) - case.opened_s for case in resolved]),
        looks=len(looks),
        handling_s=handling_s,
        an_hour=_an_hour(leads),
        cost=_cost(looks, len(decided), wages, handling_s),
    )


def _stays(case: CaseRow, trail: Sequence[StepRow]) -> list[_Stay]:
    """Cut a trail into its stays at tiers."""
    found: list[_Stay] = []
    now: _Stay | None = None
    for step in trail:
        if step.event in ("open", "reopen", "escalate", "recall"):
            if now is not None:
                breaches = now.breaches + bool(step.body.get("breached"))
                found.append(_Stay(case, now.tier, now.entered_s, now.started_s, step.at_s, step.event, breaches))
            now = _Stay(case, step.tier, step.at_s, None, None, "", 0)
        elif now is None:
            continue
        elif step.event in ("decide", "settle", "withdraw"):
            started_s = step.at_s if now.started_s is None and step.event != "withdraw" else now.started_s
            found.append(_Stay(case, now.tier, now.entered_s, started_s, step.at_s, step.event, now.breaches))
            now = None
        else:
            acted = step.event in ("start", "look", "refuse", "ask")
            started_s = step.at_s if acted and now.started_s is None else now.started_s
            breaches = now.breaches + bool(step.body.get("breached"))
            now = _Stay(case, now.tier, now.entered_s, started_s, None, "", breaches)
    return [*found, now] if now is not None else found


def _cost(looks: Sequence[LookRow], decided: int, wages: Mapping[int, float], handling_s: float | None) -> float | None:
    """Wages of all looks over the decisions that came of them; a look without a lead time takes the usual time."""
    paid = [look for look in looks if look.person in wages]
    if not paid or not decided or handling_s is None:
        return None
    total = sum(_lead(look, handling_s) / _HOUR_S * wages[look.person] for look in paid if look.person is not None)
    return total / decided


def _wages(policy: Policy, emails: Mapping[int, str]) -> dict[int, float]:
    found: dict[int, float] = {}
    for number, email in emails.items():
        person = policy.person(email)
        if person is not None and person.wage is not None:
            found[number] = person.wage
    return found


def _leads(looks: Iterable[LookRow]) -> list[float]:
    return [look.lead_time_s for look in looks if look.lead_time_s and look.lead_time_s <= _LONGEST_LOOK_S]


def _lead(look: LookRow, usual_s: float) -> float:
    return look.lead_time_s if look.lead_time_s and look.lead_time_s <= _LONGEST_LOOK_S else usual_s


def _an_hour(leads: Sequence[float]) -> float | None:
    return _HOUR_S * len(leads) / sum(leads) if leads else None


def _median(times: Iterable[float]) -> float | None:
    given = list(times)
    return median(given) if given else None


def _mean(times: Sequence[float]) -> float | None:
    return sum(times) / len(times) if times else None
