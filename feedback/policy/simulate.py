"""Simulation: what another policy would have done with the tasks that were already decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from feedback.policy.conditions import Table
from feedback.policy.explain import format_duration
from feedback.policy.policy_changes import describe_other_keys, list_changes
from feedback.policy.rule_matching import NOT_CERTIFIED, Outcome, Router
from feedback.policy.rules import AUTO, HOLD
from feedback.policy.schema import Policy
from ml_backend.number_format import format_count, format_money, format_number, format_percent

DAY_S = 86_400.0
DECISIONS = "decisions"  # the source of a history
TASKS_NOW = "tasks as they are now, answered ones too, imported"
_MAX_EXAMPLES = 20  # tasks that would go elsewhere
# the keys that routing and its cost depend on, and those that only people read
_JUDGED = (
    *("routing", "tiers", "people", "reasons", "reasons.*", "feedback.*.title"),
    *(f"routing.*.{key}" for key in ("when", "to", "tier", "priority", "queue", "overlap", "hold", "reason")),
    *(f"tiers.*.{key}" for key in ("protocol", "panel", "handling", "title")),
    *(f"people.*.{key}" for key in ("tiers", "wage")),
)


@dataclass(frozen=True, slots=True)
class Span:
    """How long a history is. Less than a day gives no daily rate, so its loads and costs are totals."""

    days: float

    @property
    def is_long(self) -> bool:
        """Return whether there is a daily rate."""
        return self.days >= 1.0

    @property
    def unit(self) -> str:
        """Return what loads and costs are per."""
        return "per day" if self.is_long else "in all"

    def rate(self, total: float) -> float:
        """Return a total per day, or as it is.

        >>> Span(10.0).rate(30), Span(0.01).rate(30)
        (3.0, 30)
        """
        return total / self.days if self.is_long else total

    def describe(self, count: int, source: str) -> str:
        """Return how many tasks a history has, and over which time.

        >>> Span(0.01).describe(30, "decisions")
        '30 decisions within 14m24s, too short a time for a daily rate'
        """
        if self.is_long:
            return f"{format_count(count)} {source} over {format_number(self.days)} days"
        within = f"within {format_duration(self.days * DAY_S)}" if self.days * DAY_S >= 1 else "in one moment"
        return f"{format_count(count)} {source} {within}, too short a time for a daily rate"


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """n tasks as they were at their last decision: the inputs of the rules as columns, and the time."""

    tasks: Sequence[int]  # (n,)
    at_s: Sequence[float]  # (n,)
    column: Callable[[str], Sequence[Any]] = field(repr=False)  # (n,) values of a field, None where missing
    handling_s: float | None = None  # one answer of one person, as measured; None: never measured
    source: str = DECISIONS  # or TASKS_NOW, where nothing was decided yet

    @property
    def days(self) -> float:
        """Return the length of the history in days."""
        return (max(self.at_s) - min(self.at_s)) / DAY_S if self.at_s else 0.0


@dataclass(frozen=True, slots=True)
class Workload:
    """The work of people under one policy."""

    auto: int  # tasks whose rule says "auto", certified or not; audit and gold tasks are never automated
    held: int
    kept_back: int  # tasks that nobody has answered and that the first tier does not see
    tiers: Mapping[str, int]  # tasks that go to each tier
    answers: Mapping[str, int]  # answers of people in each tier: overlaps and panels count
    rules: Mapping[str, int]
    cost: float | None  # of all answers; None where a wage or a time is not known
    unknown: tuple[str, ...]  # reasons for which there is no cost


@dataclass(frozen=True, slots=True)
class Simulation:
    """Two policies applied to the same tasks."""

    n: int
    days: float
    source: str
    before: Workload
    after: Workload
    moved: int  # tasks that would go elsewhere
    changed: int  # tasks that would have another priority, queue or number of people
    examples: tuple[tuple[int, str, str], ...]  # task, before, after
    missing: Mapping[str, int]  # field of the new policy -> number of tasks without it
    not_judged: str  # the changed keys that change nothing here; "" for none

    @property
    def headline(self) -> str:
        """Return automation, certified error, load of each tier and cost in one line."""
        parts = [f"automation {_percent(self.before.auto, self.n)} -> {_percent(self.after.auto, self.n)}"]
        if self.before.auto or self.after.auto:
            parts[0] += " asked for"
            parts.append(f"certified error: none yet ({NOT_CERTIFIED}, so people decide)")
        span = Span(self.days)
        for tier in dict.fromkeys([*self.before.answers, *self.after.answers]):
            change = span.rate(self.after.answers.get(tier, 0) - self.before.answers.get(tier, 0))
            parts.append(f"{tier} load {format_number(change, signed=True)} answers{'/day' if span.is_long else ''}")
        if self.before.cost and self.after.cost is not None:
            parts.append(f"cost {format_percent(self.after.cost / self.before.cost - 1, signed=True)}")
        return ", ".join(parts)

    @property
    def sentences(self) -> list[str]:
        """Return shares, loads and cost in sentences, each with the value under the active policy."""
        unseen = f"Not judged here, because no routing depends on it: {self.not_judged}." if self.not_judged else ""
        if not self.n:
            return list(filter(None, ["There is no task yet, so nothing can be simulated.", unseen]))
        span = Span(self.days)
        lines = [f"{span.describe(self.n, self.source)}; {format_count(self.moved)} would go elsewhere.", self.headline]
        if self.changed:
            lines.append(f"{format_count(self.changed)} would have another priority, queue or number of people.")
        for tier in dict.fromkeys([*self.before.answers, *self.after.answers]):
            was, now = (span.rate(work.answers.get(tier, 0)) for work in (self.before, self.after))
            change = f"{format_number(now - was, signed=True)} answers{'/day' if span.is_long else ''}"
            lines.append(f"{tier} load: {change} ({format_number(was)} -> {format_number(now)})")
        if self.before.held or self.after.held:
            lines.append(f"held: {format_count(self.before.held)} -> {format_count(self.after.held)} tasks")
        lines.append(self._cost(span))
        lines += [
            f"{field} is unknown for {format_count(count)} tasks: in this simulation they meet none of its rules"
            for field, count in self.missing.items()
        ]
        return [*lines, unseen] if unseen else lines

    def _cost(self, span: Span) -> str:
        if self.before.cost is None or self.after.cost is None:
            return f"cost: unknown; {'; '.join(dict.fromkeys(self.before.unknown + self.after.unknown))}"
        was, now = span.rate(self.before.cost), span.rate(self.after.cost)
        if self.before.cost == 0:
            return f"cost: {format_money(now)} {span.unit}, 0 before"
        change = format_percent(now / was - 1, signed=True)
        return f"cost: {change} ({format_money(was)} -> {format_money(now)} {span.unit})"


def simulate(old: Policy, new: Policy, history: TaskHistory) -> Simulation:
    """Route the tasks of a history by both policies; a few seconds for 100,000 tasks."""
    table = Table(len(history.tasks), history.column)
    new_router = Router(new)
    before, after = Router(old).route_table(table), new_router.route_table(table)
    pairs = zip(history.tasks, before, after, strict=True)
    moved = [(task, first.to, second.to) for task, first, second in pairs if first.to != second.to]
    changed = sum(_settings(first) != _settings(second) for first, second in zip(before, after, strict=True))
    votes = table.values("history.votes")
    missing = {
        name: unknown
        for name in sorted(new_router.fields)
        if not name.startswith(("data.", "signal.")) and (unknown := sum(value is None for value in table.values(name)))
    }
    # the hours of a calendar are recorded with a decision, so changed ones show only on tasks as they are now
    judged = _JUDGED if history.source == DECISIONS else (*_JUDGED, "calendars*")
    return Simulation(
        n=len(history.tasks),
        days=history.days,
        source=history.source,
        before=_workload(old, before, votes, history.handling_s),
        after=_workload(new, after, votes, history.handling_s),
        moved=len(moved),
        changed=changed,
        examples=tuple(moved[:_MAX_EXAMPLES]),
        missing=missing,
        not_judged=describe_other_keys(list_changes(old, new), judged),
    )


def _settings(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.priority, outcome.queue, outcome.overlap


def _workload(policy: Policy, outcomes: Sequence[Outcome], votes: Sequence[Any], handling_s: float | None) -> Workload:
    to = Counter(outcome.to for outcome in outcomes)
    tiers = {tier: to[tier] for tier in policy.tiers if to[tier]}
    answers: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.to != HOLD:
            answers[outcome.to] += answers_needed(policy, outcome)
        if outcome.sample and outcome.to != policy.first_tier:
            answers[policy.first_tier] += 1
    prices = {tier: cost_per_answer(policy, tier, handling_s) for tier in answers}
    unknown = tuple(price for price in prices.values() if isinstance(price, str))
    cost = sum(answers[tier] * price for tier, price in prices.items() if not isinstance(price, str))
    auto_rules = {rule.id for rule in policy.routing if rule.to == AUTO}
    rules = Counter(outcome.rule for outcome in outcomes)
    return Workload(
        auto=sum(outcome.rule in auto_rules and not outcome.sample for outcome in outcomes),
        held=to[HOLD],
        kept_back=sum(
            not (outcome.to == policy.first_tier or outcome.sample or n_votes)
            for outcome, n_votes in zip(outcomes, votes, strict=True)
        ),
        tiers=tiers,
        answers={tier: answers[tier] for tier in policy.tiers if answers[tier]},
        rules=dict(rules),
        cost=None if unknown else cost,
        unknown=unknown,
    )


def answers_needed(policy: Policy, outcome: Outcome) -> int:
    """Return how many people answer a task: by the rule in the first tier, by the protocol in later tiers."""
    return outcome.overlap or 1 if outcome.to == policy.first_tier else policy.tiers[outcome.to].n_reviewers


def cost_per_answer(policy: Policy, tier: str, handling_s: float | None) -> float | str:
    """Return the wages for one answer, or the reason for which they are unknown."""
    wages = [person.wage for person in policy.people_in(tier) if person.wage is not None]
    if not wages:
        return f"nobody in {tier} has a wage in [people]"
    time_s = policy.tiers[tier].handling_s or handling_s
    if not time_s:
        return f"tiers.{tier}.handling is not given and no answer was timed"
    return fmean(wages) * time_s / 3600


def _percent(part: int, whole: int) -> str:
    return format_percent(part / whole if whole else 0.0)
