"""What is said of review: the cases that wait, one case's whole trail, figures by tier, and the hours ahead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from feedback.policy import Policy
from feedback.policy.calendars import is_working_time
from feedback.review.appeals import HumanReviewRequest, list_human_review_requests
from feedback.review.capacity import advise, forecast
from feedback.review.review_metrics import TierMetrics, add_first_tier_stays, compute_tier_metrics
from feedback.review.review_task_content import format_answer, format_time
from feedback.review.reviewer_accuracy import (
    LabelErrors,
    ReviewerAccuracy,
    compute_label_errors,
    compute_reviewer_accuracy,
    votes_as_reviews,
)
from feedback.store import CaseEvent, CaseRow, ReviewRow, Store
from feedback.training.explanations import spoken
from ml_backend.records import Answer

_DAYS = 7  # of arrivals that a forecast is made from
_HOURS = 12  # ahead
_USUAL_S = 120.0  # of a look, until some are measured
_DAY_S, _HOUR_S = 86_400.0, 3600.0


@dataclass(frozen=True, slots=True)
class CaseReport:
    """One case with everything that ever happened to it."""

    case: CaseRow
    trail: Sequence[CaseEvent]
    looks: Sequence[ReviewRow]
    human_review_requests: Sequence[HumanReviewRequest]

    @property
    def opinion(self) -> dict[str, Any]:
        """What the model said and what spoke for it, with both in words; {} where it said nothing."""
        said = self.case.opinion
        if not said:
            return {}
        return {**said, "answer": format_answer(Answer.from_key(str(said["answer"]))), "spoken": spoken(said)}

    def to_json(self) -> dict[str, Any]:
        """As JSON; answers as people read them."""
        case = asdict(self.case) | {
            "proposal": format_answer(self.case.proposal),
            "answer": format_answer(self.case.answer),
        }
        case["opinion"] = self.opinion
        looks = [
            asdict(look) | {"answer": format_answer(look.answer), "shown": format_answer(look.shown)}
            for look in self.looks
        ]
        trail = [{**asdict(step), "body": dict(step.body)} for step in self.trail]
        return {
            "case": case,
            "trail": trail,
            "looks": looks,
            "requests": [asdict(one) for one in self.human_review_requests],
        }


@dataclass(frozen=True, slots=True)
class Ahead:
    """The hours ahead of one tier."""

    tier: str
    hours: tuple[float, ...]  # when each begins, epoch seconds
    wait_s: tuple[float, ...]
    busy: tuple[float, ...]
    advice: str  # in words; "" where nothing is to be done
    queues: Mapping[str, float]  # cases that each queue of the routing will bring in those hours


@dataclass(frozen=True, slots=True)
class Measured:
    """All figures of a project's review."""

    tiers: list[TierMetrics]
    labels: list[LabelErrors]
    blind_labels: list[LabelErrors]
    people: list[ReviewerAccuracy]
    doubted: list[int]  # reviewers who are surely right less often than `gold.pause_below`


def case_report(store: Store, number: int) -> CaseReport:
    """Everything about one case; NotStored where there is none of this number."""
    case = store.cases.get_case(number)
    about = [one for one in list_human_review_requests(store, case.project, task=case.task) if one.case == case.id]
    return CaseReport(
        case,
        store.cases.list_case_events(number),
        store.reviews.list_reviews(case.project, case=number),
        about,
    )


def measured(
    store: Store, project: str, policy: Policy, emails: Mapping[int, str], *, control: str, by_segment: bool = False
) -> Measured:
    """Figures by tier (and segment), of the model by label, and of each reviewer."""
    cases, votes, first = (
        store.cases.list_cases(project),
        store.votes.list_votes(project, control=control),
        policy.first_tier,
    )
    done = add_first_tier_stays(
        cases,
        store.cases.list_events_of_cases([case.id for case in cases]),
        votes,
        store.annotations.list_skips(project),
        store.tasks.list_task_rows(project),
        {
            task: standing.queue
            for task, (standing, _content) in store.decisions.list_current_decisions(project).items()
        },
        first_tier=first,
    )
    overrides = store.overrides.list_overrides(project, changed=None)
    both = [*votes_as_reviews(votes, done.cases, first), *store.reviews.list_reviews(project)]
    people = compute_reviewer_accuracy(done.cases, both)
    return Measured(
        compute_tier_metrics(done.cases, done.trails, both, overrides, policy, emails=emails, by_segment=by_segment),
        compute_label_errors(overrides),
        compute_label_errors(overrides, blind=True),
        people,
        [one.person for one in people if one.compared and one.accuracy.high < policy.gold.pause_below],
    )


def ahead(
    store: Store, project: str, policy: Policy, tiers: Sequence[TierMetrics], *, now_s: float, hours: int = _HOURS
) -> list[Ahead]:
    """Each tier's next hours, from what came in the last week at this time of day, and what would help it."""
    cases = store.cases.list_cases(project)
    came: dict[str, list[float]] = {}
    of_queue: dict[tuple[str, str], list[float]] = {}
    queue_of = {case.id: case.segment for case in cases}
    looks: list[float] = []
    for step in store.cases.list_project_events(project, since_s=now_s - _DAYS * _DAY_S):
        if step.event in ("open", "reopen", "escalate", "recall"):
            came.setdefault(step.tier, []).append(step.at_s)
            of_queue.setdefault((step.tier, queue_of[step.case]), []).append(step.at_s)
        elif step.event in ("decide", "settle"):
            looks.append(step.at_s)  # each could be looked at again
    first = min((step for times in (*came.values(), looks) for step in times), default=now_s)
    days = max(1.0, min(_DAYS, (now_s - first) / _DAY_S))
    begins = [now_s + hour * _HOUR_S for hour in range(hours)]
    found = []
    for one in tiers:
        if one.segment:
            continue
        tier = policy.tiers[one.tier]
        arrivals = _by_hour(came.get(one.tier, ()), begins, days)
        people = [float(_people(policy, one.tier, moment)) for moment in begins]
        handling_s = (one.handling_s or _USUAL_S) * tier.n_reviewers
        waiting = sum(case.tier == one.tier and case.state in ("queued", "started") for case in cases)
        target_s = tier.resolve_s or float("inf")
        told = forecast(arrivals, people, handling_s, waiting=waiting, target_s=target_s)
        advice = ""
        if told.late_from is not None:
            drawn = _by_hour(looks, begins, days) if one.tier == policy.tier_after(policy.first_tier) else [0.0] * hours
            share = policy.second_look.share
            calm = [max(0.0, come - share * look) for come, look in zip(arrivals, drawn, strict=True)]
            found_advice = advise(calm, drawn, people, handling_s, share=share, waiting=waiting, target_s=target_s)
            words_ = [
                f"move {found_advice.people} more people there" if found_advice.people else "",
                f"lower second_look.share to {found_advice.share:.1%}"
                if found_advice.share is not None and found_advice.share < share
                else "",
            ]
            do = " or ".join(filter(None, words_)) or "nobody who works then is among its people"
            advice = f"{one.tier} breaches from {format_time(begins[told.late_from])}: {do}"
        queues = {
            queue: round(many, 2)
            for (at, queue), times in sorted(of_queue.items())
            if at == one.tier and (many := sum(_by_hour(times, begins, days)))
        }
        found.append(Ahead(one.tier, tuple(begins), told.wait_s, told.busy, advice, queues))
    return found


def _by_hour(times: Sequence[float], begins: Sequence[float], days: float) -> list[float]:
    """Arrivals that each hour ahead may expect: what came at this hour of the day, a day on average."""
    counts = [0] * 24
    for moment in times:
        counts[datetime.fromtimestamp(moment, UTC).hour] += 1
    return [counts[datetime.fromtimestamp(moment, UTC).hour] / days for moment in begins]


def _people(policy: Policy, tier: str, moment_s: float) -> int:
    """How many of a tier's people are at work then; one where the policy names nobody."""
    own = policy.tiers[tier].calendar
    mine = [one for one in policy.people.values() if tier in (one.tiers or (policy.first_tier,))]
    names = [one.calendar or own for one in mine] if policy.people else [own]
    return sum(name is None or is_working_time(policy.calendars[name], moment_s) for name in names)
