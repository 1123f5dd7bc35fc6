"""Figures of the review: rates, times and costs by tier, reviewers, a forecast; where people changed predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from feedback.policy import Policy
from feedback.policy.calendars import is_working_time
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import load_splits
from feedback.reports.figures import make_figure
from feedback.reports.formatting import answer_text
from feedback.reports.project_status import list_verdicts, model_accuracies
from feedback.review.capacity import Advice, advise, forecast
from feedback.review.overrides import NOT_GIVEN
from feedback.review.review_metrics import (
    LabelErrors,
    TierMetrics,
    add_first_tier_stays,
    compute_label_errors,
    compute_tier_metrics,
    votes_as_reviews,
)
from feedback.review.review_task_content import format_time
from feedback.review.reviewer_accuracy import ReviewerAccuracy, compute_reviewer_accuracy
from feedback.stats.intervals import wilson
from feedback.store import OverrideCount, ProjectRow, Store
from ml_backend.number_format import format_percent

_HISTORY_DAYS = 7  # arrivals of these days make the forecast
_FORECAST_HOURS = 12
_DEFAULT_HANDLING_S = 120.0  # of one review, until some are measured
_MAX_PAIRS = 30  # of a shown and a changed answer
_DAY_S, _HOUR_S = 86_400.0, 3600.0


@dataclass(frozen=True, slots=True)
class ReviewFigures:
    """All figures of a project's review."""

    tiers: list[TierMetrics]
    model: str  # the serving one; "" where none serves
    labels: list[LabelErrors]  # of this model on audit tasks: drawn at random, and answered blind while it served
    n_audit: int  # number of these tasks
    people: list[ReviewerAccuracy]
    unreliable: list[int]  # reviewers who are proven to be upheld less often than `gold.pause_below`


@dataclass(frozen=True, slots=True)
class TierForecast:
    """The next hours of one tier; every tuple has one entry per hour."""

    tier: str
    hours: tuple[float, ...]  # start of each hour, epoch seconds
    wait_s: tuple[float, ...]
    busy: tuple[float, ...]  # share of the people's time, [0, 1]
    advice: str  # "" where nothing needs to be done
    queues: Mapping[str, float]  # expected cases in those hours, by queue of the routing


def measure_review(
    store: Store, project: str, policy: Policy, emails: Mapping[int, str], *, control: str, by_segment: bool = False
) -> ReviewFigures:
    """Measure each tier (and segment), the model by label, and each reviewer.

    `emails` are addresses by user id, for wages; people without an address have none.
    """
    first = policy.first_tier
    cases, votes = store.cases.list_cases(project), store.votes.list_votes(project, control=control)
    decisions = store.decisions.list_current_decisions(project)
    cases, trails = add_first_tier_stays(
        cases,
        store.cases.list_events_of_cases([case.id for case in cases]),
        votes,
        store.annotations.list_skips(project),
        store.tasks.list_task_rows(project),
        {task: decision.queue for task, (decision, _content) in decisions.items()},
        first_tier=first,
    )
    overrides = store.overrides.list_overrides(project)
    champion = store.registry.champion(project)
    version, audit = champion.version if champion else "", _audit_tasks(store, project, policy)
    audited = [row for row in overrides if row.blind and row.model == version and row.task in audit]
    reviews = [*votes_as_reviews(votes, cases, first), *store.reviews.list_reviews(project)]
    people = compute_reviewer_accuracy(cases, reviews)
    return ReviewFigures(
        compute_tier_metrics(cases, trails, reviews, overrides, policy, emails=emails, by_segment=by_segment),
        version,
        compute_label_errors(audited),
        len({row.task for row in audited}),
        people,
        [row.person for row in people if row.compared and row.upheld.high < policy.gold.pause_below],
    )


def _audit_tasks(store: Store, project: str, policy: Policy) -> set[int]:
    """Return the tasks that are drawn at random for the audit."""
    row = store.projects.get_project(project)
    if row is None:
        return set()
    splits, contents = load_splits(store, row, policy), store.tasks.list_content_hashes(project)
    roles = splits.roles([splits.dedup_key_of(content) for content in contents.values()])
    return {task for task, role in zip(contents, roles, strict=True) if role in AUDIT_ROLES}


def forecast_tiers(
    store: Store, project: str, policy: Policy, tiers: Sequence[TierMetrics], *, now_s: float
) -> list[TierForecast]:
    """Forecast each tier from the arrivals of the last week at the same hours of the day, with advice where late."""
    cases = store.cases.list_cases(project)
    queue_of = {case.id: case.segment for case in cases}
    arrivals: dict[str, list[float]] = {}
    queue_arrivals: dict[tuple[str, str], list[float]] = {}
    decisions: list[float] = []  # each may be drawn for a second look
    for event in store.cases.list_project_events(project, since_s=now_s - _HISTORY_DAYS * _DAY_S):
        if event.event in ("open", "reopen", "escalate", "recall"):
            arrivals.setdefault(event.tier, []).append(event.at_s)
            queue_arrivals.setdefault((event.tier, queue_of[event.case]), []).append(event.at_s)
        elif event.event in ("decide", "settle"):
            decisions.append(event.at_s)
    first_s = min((at_s for times in (*arrivals.values(), decisions) for at_s in times), default=now_s)
    days = max(1.0, min(_HISTORY_DAYS, (now_s - first_s) / _DAY_S))
    begins = [now_s + hour * _HOUR_S for hour in range(_FORECAST_HOURS)]
    forecasts = []
    for metrics in tiers:
        if metrics.segment:
            continue
        name, tier = metrics.tier, policy.tiers[metrics.tier]
        expected = _expected_per_hour(arrivals.get(name, ()), begins, days)
        people = [float(_people_at_work(policy, name, at_s)) for at_s in begins]
        handling_s = (metrics.handling_s or _DEFAULT_HANDLING_S) * tier.n_reviewers
        waiting = sum(case.tier == name and case.state in ("queued", "started") for case in cases)
        target_s = tier.resolve_s or float("inf")
        ahead = forecast(expected, people, handling_s, waiting=waiting, target_s=target_s)
        advice = ""
        if ahead.late_from is not None:
            share = policy.second_look.share
            takes_second_looks = name == policy.tier_after(policy.first_tier)
            drawn = _expected_per_hour(decisions, begins, days) if takes_second_looks else [0.0] * _FORECAST_HOURS
            others = [max(0.0, rate - share * decided) for rate, decided in zip(expected, drawn, strict=True)]
            remedy = advise(others, drawn, people, handling_s, share=share, waiting=waiting, target_s=target_s)
            advice = f"{name} breaches from {format_time(begins[ahead.late_from])}: {_remedy_text(remedy, share)}"
        queues = {
            queue: round(total, 2)
            for (at_tier, queue), times in sorted(queue_arrivals.items())
            if at_tier == name and (total := sum(_expected_per_hour(times, begins, days)))
        }
        forecasts.append(TierForecast(name, tuple(begins), ahead.wait_s, ahead.busy, advice, queues))
    return forecasts


def measure_overrides(store: Store, project: ProjectRow) -> dict[str, Any]:
    """Return how often people changed what each model showed, with the changed answers and the reasons, as JSON.

    A share of changed answers is no error of the model: the queue asks hard tasks first, and people tend to accept what
    they see. How often a model is right is its accuracy on audit tasks, drawn at random and answered blind.
    """
    counts, reasons = store.overrides.count_overrides(project.id), project.policy.reasons
    accuracies = model_accuracies(list_verdicts(store, project.id))
    seen = [row for row in counts if not row.blind]
    why: dict[tuple[str, str], Counter[str]] = {}
    given: Counter[str] = Counter()
    for row in seen:
        if row.changed:
            pair = (answer_text(row.shown) if row.shown else "", answer_text(row.answer))
            why.setdefault(pair, Counter())[row.reason] += row.times
            given[row.reason] += row.times

    def text_of(code: str) -> str:
        return reasons.get(code, code) or NOT_GIVEN

    newest: dict[str, float] = {}
    for row in counts:
        newest[row.model] = max(row.last_s, newest.get(row.model, row.last_s))
    most = sorted(why.items(), key=lambda entry: -entry[1].total())[:_MAX_PAIRS]
    return {
        "models": [
            {
                "model": model,
                "accuracy": accuracies.get(model),
                "changed": _changed([r for r in seen if r.model == model]),
            }
            for model in sorted(newest, key=lambda model: -newest[model])
        ],
        "blind": sum(row.times for row in counts if row.blind),
        "without_reason": given[NOT_GIVEN],
        "pairs": [
            {"from": shown, "to": answer, "count": codes.total(), "reason": text_of(codes.most_common(1)[0][0])}
            for (shown, answer), codes in most
        ],
        "reasons": [{"reason": text_of(code), "count": count} for code, count in given.most_common()],
    }


def _remedy_text(remedy: Advice, share: float) -> str:
    ways = []
    if remedy.people:
        ways.append(f"add {remedy.people} more people")
    if remedy.share is not None and remedy.share < share:
        ways.append(f"lower second_look.share to {format_percent(remedy.share)}")
    return " or ".join(ways) or "none of its people works in those hours"


def _expected_per_hour(times: Sequence[float], begins: Sequence[float], days: float) -> list[float]:
    """Return the arrivals to expect in each hour: the daily average at this hour of the day."""
    counts = [0] * 24
    for at_s in times:
        counts[datetime.fromtimestamp(at_s, UTC).hour] += 1
    return [counts[datetime.fromtimestamp(at_s, UTC).hour] / days for at_s in begins]


def _people_at_work(policy: Policy, tier: str, at_s: float) -> int:
    """Return how many of a tier's people work then; one where the policy names nobody."""
    default = policy.tiers[tier].calendar
    calendars = [person.calendar or default for person in policy.people_in(tier)] if policy.people else [default]
    return sum(name is None or is_working_time(policy.calendars[name], at_s) for name in calendars)


def _changed(counts: Sequence[OverrideCount]) -> dict[str, Any] | None:
    """Return the share of changed answers among those to predictions that people saw."""
    total, changed = sum(row.times for row in counts), sum(row.times for row in counts if row.changed)
    return make_figure(wilson(changed, total), total, "answers to predictions that people saw") if total else None
