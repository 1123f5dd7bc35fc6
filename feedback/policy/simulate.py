"""Simulating: what another policy would have done with the tasks of the past, before it does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from feedback.policy.conditions import Table
from feedback.policy.decision import NOT_CERTIFIED, Outcome, Router
from feedback.policy.rules import AUTO, HOLD
from feedback.policy.schema import Policy

DAY_S = 86_400.0
_SHOWN = 20  # tasks named as examples of what would change


@dataclass(frozen=True, slots=True)
class TaskHistory:
    """n tasks as they were when they were last decided: their facts as columns, and when it was."""

    tasks: Sequence[int]  # (n,)
    at_s: Sequence[float]  # (n,)
    column: Callable[[str], Sequence[Any]] = field(repr=False)  # (n,) values of a field, None where missing
    handling_s: float | None = None  # one look of one person, as measured; None: never measured
    source: str = "decisions"  # or "open tasks", where nothing was decided yet

    @property
    def days(self) -> float:
        """How long the past is; at least a day, so that an hour of work is not sold as a rate."""
        return max(1.0, (max(self.at_s) - min(self.at_s)) / DAY_S) if self.at_s else 1.0


@dataclass(frozen=True, slots=True)
class Load:
    """What one policy asks of people."""

    auto: int  # tasks whose rule says "auto", certified or not
    held: int
    tiers: Mapping[str, int]  # tasks that go to each tier
    looks: Mapping[str, int]  # people's looks there: overlaps and panels count
    rules: Mapping[str, int]
    cost: float | None  # of all looks; None where a wage or a time is not known
    unknown: tuple[str, ...]  # why there is no cost


@dataclass(frozen=True, slots=True)
class Simulation:
    """Two policies over the same past."""

    n: int
    days: float
    source: str
    before: Load
    after: Load
    moved: int  # tasks that would go elsewhere
    changed: int  # tasks that would have another priority, queue or number of people
    examples: tuple[tuple[int, str, str], ...]  # task, before, after
    missing: Mapping[str, int]  # field of the new policy -> tasks of which it is not known

    @property
    def headline(self) -> str:
        """The whole in one line: automation, certified error, each tier's load, cost."""
        said = [f"automation {_percent(self.before.auto, self.n)} -> {_percent(self.after.auto, self.n)}"]
        if self.before.auto or self.after.auto:
            said[0] += " asked for"
            said.append(f"certified error: none yet ({NOT_CERTIFIED}, until then people decide)")
        for tier in dict.fromkeys([*self.before.tiers, *self.after.tiers]):
            more = (self.after.tiers.get(tier, 0) - self.before.tiers.get(tier, 0)) / self.days
            said.append(f"{tier} load {more:+.1f} tasks/day")
        if self.before.cost and self.after.cost is not None:
            said.append(f"cost {self.after.cost / self.before.cost - 1:+.0%}")
        return ", ".join(said)

    @property
    def sentences(self) -> list[str]:
        """Say it as an admin wants to read it: shares, loads a day and cost, each with what it was."""
        lines = [
            f"{self.n:,} {self.source} over {self.days:.1f} days; {self.moved:,} would go elsewhere.",
            self.headline,
        ]
        if self.changed:
            lines.append(f"{self.changed:,} would have another priority, queue or number of people.")
        for tier in dict.fromkeys([*self.before.looks, *self.after.looks]):
            was, now = self.before.looks.get(tier, 0) / self.days, self.after.looks.get(tier, 0) / self.days
            lines.append(f"{tier} load: {now - was:+.1f} looks/day ({was:.1f} -> {now:.1f})")
        if self.before.held or self.after.held:
            lines.append(f"kept back: {self.before.held:,} -> {self.after.held:,} tasks")
        lines.append(self._cost())
        lines += [
            f"{field} is not known of {many:,} tasks: its rules hold for none of them in this simulation"
            for field, many in self.missing.items()
        ]
        return lines

    def _cost(self) -> str:
        if self.before.cost is None or self.after.cost is None:
            return f"cost: not known; {'; '.join(dict.fromkeys(self.before.unknown + self.after.unknown))}"
        if self.before.cost == 0:
            return f"cost: {self.after.cost / self.days:,.2f} a day, nothing before"
        change = self.after.cost / self.before.cost - 1
        a_day = f"{self.before.cost / self.days:,.2f} -> {self.after.cost / self.days:,.2f} a day"
        return f"cost: {change:+.0%} ({a_day})"


def simulate(old: Policy, new: Policy, past: TaskHistory) -> Simulation:
    """Route the past through both policies; a few seconds for 100,000 tasks."""
    table = Table(len(past.tasks), past.column)
    was, now = Router(old), Router(new)
    before, after = was.all(table), now.all(table)
    pairs = zip(past.tasks, before, after, strict=True)
    moved = [(task, one.to, other.to) for task, one, other in pairs if one.to != other.to]
    changed = sum(_manner(one) != _manner(other) for one, other in zip(before, after, strict=True))
    missing = {
        name: unknown
        for name in sorted(now.fields)
        if not name.startswith(("data.", "signal.")) and (unknown := sum(value is None for value in table.values(name)))
    }
    return Simulation(
        n=len(past.tasks),
        days=past.days,
        source=past.source,
        before=_load(old, before, past.handling_s),
        after=_load(new, after, past.handling_s),
        moved=len(moved),
        changed=changed,
        examples=tuple(moved[:_SHOWN]),
        missing=missing,
    )


def _manner(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.priority, outcome.queue, outcome.overlap


def _load(policy: Policy, outcomes: Sequence[Outcome], handling_s: float | None) -> Load:
    to = Counter(one.to for one in outcomes)
    tiers = {tier: to[tier] for tier in policy.tiers if to[tier]}
    looks: Counter[str] = Counter()
    for one in outcomes:
        if one.to != HOLD:
            looks[one.to] += answers_needed(policy, one)
    cost, unknown = 0.0, list[str]()
    for tier, many in looks.items():
        each = cost_per_answer(policy, tier, handling_s)
        if isinstance(each, str):
            unknown.append(each)
        else:
            cost += many * each
    asked = {rule.id for rule in policy.routing if rule.to == AUTO}
    rules = Counter(one.rule for one in outcomes)
    return Load(
        auto=sum(many for rule, many in rules.items() if rule in asked),
        held=to[HOLD],
        tiers=tiers,
        looks={tier: looks[tier] for tier in policy.tiers if looks[tier]},
        rules=dict(rules),
        cost=None if unknown else cost,
        unknown=tuple(unknown),
    )


def answers_needed(policy: Policy, outcome: Outcome) -> int:
    """How many people look at a task: in the first tier as many as the rule asks, above as the tier's protocol says."""
    return outcome.overlap or 1 if outcome.to == policy.first_tier else policy.tiers[outcome.to].n_reviewers


def cost_per_answer(policy: Policy, tier: str, handling_s: float | None) -> float | str:
    """What one look costs in wages, or why that is not known."""
    first = tier == policy.first_tier
    wages = [
        person.wage
        for person in policy.people.values()
        if person.wage is not None and (tier in person.tiers or (first and not person.tiers))
    ]
    if not wages:
        return f"nobody in {tier} has a wage in [people]"
    time_s = policy.tiers[tier].handling_s or handling_s
    if not time_s:
        return f"tiers.{tier}.handling is not given and no answer was timed"
    return fmean(wages) * time_s / 3600


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"
