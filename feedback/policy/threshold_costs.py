"""Thresholds: what each confidence, from which on the model would decide alone, would have saved and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.policy.conditions import Table
from feedback.policy.decision import Router
from feedback.policy.rules import HOLD
from feedback.policy.schema import Policy
from feedback.policy.simulate import TaskHistory, answers_needed, cost_per_answer
from feedback.stats import Interval
from feedback.stats.intervals import clopper_pearson

GRID = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
CONFIDENCE = 0.95  # that all intervals of a table hold at once


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost a day; the interval is that of the error, as the looks are counted."""

    low: float
    value: float | None  # None where no answer was checked
    high: float


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One threshold: tasks with at least this confidence are decided by the model, the others by people as now."""

    threshold: float
    automated: float  # share of the tasks, [0, 1]
    error: Interval  # share of the automated that people answer otherwise
    checked: int  # audited tasks behind the error
    looks: Mapping[str, float]  # people's looks a day in each tier
    cost: Costs | None  # wages and errors; None where one of them is not known


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """The whole table, and what may be said of it."""

    n: int  # tasks
    days: float
    source: str
    looks: Mapping[str, float]  # a day, where people decide everything
    cost: float | None  # a day, then
    steps: tuple[ThresholdRow, ...]
    best: float | None  # the threshold that surely saves most; None where none surely does
    reason: str  # why that one, or why none

    @property
    def sentences(self) -> list[str]:
        """Say it as an admin wants to read it."""
        loads = ", ".join(f"{tier} {looks:.1f}" for tier, looks in self.looks.items()) or "none"
        cost = f", cost {self.cost:,.2f} a day" if self.cost is not None else ""
        best = f"Best: {self.best:.0%}. " if self.best is not None else "No threshold is named best: "
        return [
            f"{self.n:,} {self.source} over {self.days:.1f} days. People decide all: {loads} looks a day{cost}.",
            *(_sentence(step) for step in self.steps),
            best + self.reason,
            f"Errors are those on audited tasks, of which no model learned; with {CONFIDENCE:.0%} all intervals hold.",
            "What people settle is taken as right. Nothing is automated before certificates exist.",
        ]


def thresholds(
    policy: Policy, past: TaskHistory, checked: Mapping[int, str], *, grid: Sequence[float] = GRID
) -> ThresholdTable:
    """Weigh each threshold on a past whose tasks have `model.confidence` and `model.label`.

    `checked` gives the label that people settled for tasks of the random audit stream: the only ones from which the
    model's error can be told without bias.
    """
    confidence = np.array([np.nan if one is None else float(one) for one in past.column("model.confidence")])
    labels = past.column("model.label")
    wrong = np.array(
        [
            np.nan if task not in checked or label is None else float(label != checked[task])
            for task, label in zip(past.tasks, labels, strict=True)
        ]
    )
    outcomes = Router(policy).all(Table(len(past.tasks), past.column))
    tiers = [one.to for one in outcomes]
    looks = np.array([0 if one.to == HOLD else answers_needed(policy, one) for one in outcomes], dtype=float)
    prices = {tier: cost_per_answer(policy, tier, past.handling_s) for tier in dict.fromkeys(tiers) if tier != HOLD}
    unknown = [price for price in prices.values() if isinstance(price, str)]
    if policy.costs.error is None:
        unknown.append("costs.error does not say what a wrong answer costs")

    def wages(kept: Mapping[str, float]) -> float:
        return sum(many * price for tier, many in kept.items() if not isinstance(price := prices[tier], str))

    everybody = _a_day(tiers, looks, np.ones(len(tiers), dtype=bool), past.days)
    steps = []
    for threshold in grid:
        alone = confidence >= threshold  # NaN is above nothing
        seen = alone & ~np.isnan(wrong)
        k, m = int(np.nansum(wrong[seen])), int(seen.sum())
        error = clopper_pearson(k, m, confidence=1.0 - (1.0 - CONFIDENCE) / len(grid))
        kept = _a_day(tiers, looks, ~alone, past.days)
        cost = None
        if not unknown:
            each = float(policy.costs.error or 0.0) * int(alone.sum()) / past.days
            paid = wages(kept)
            value = paid + each * error.value if m else None
            cost = Costs(paid + each * error.low, value, paid + each * error.high)
        share = float(alone.mean()) if len(alone) else 0.0
        steps.append(ThresholdRow(threshold, share, error, m, kept, cost))
    now = None if any(isinstance(price, str) for price in prices.values()) else wages(everybody)
    best, reason = _best(steps, now, unknown)
    return ThresholdTable(len(past.tasks), past.days, past.source, everybody, now, tuple(steps), best, reason)


def _a_day(tiers: Sequence[str], looks: np.ndarray, kept: np.ndarray, days: float) -> dict[str, float]:  # type: ignore[type-arg]
    found: Counter[str] = Counter()
    for tier, many, stays in zip(tiers, looks.tolist(), kept.tolist(), strict=True):
        if stays and many:
            found[tier] += many
    return {tier: many / days for tier, many in found.items()}


def _best(steps: Sequence[ThresholdRow], now: float | None, unknown: Sequence[str]) -> tuple[float | None, str]:
    """Name a threshold only where even the worst that its interval allows is cheaper than people deciding all."""
    if unknown:
        return None, f"{'; '.join(dict.fromkeys(unknown))}."
    priced = [(step.cost, step) for step in steps if step.cost is not None and step.automated > 0]
    if now is None or not priced:
        return None, "the model is sure enough of no task."
    cost, step = min(priced, key=lambda pair: pair[0].high)
    if cost.high >= now:
        return None, (
            f"even at {step.threshold:.0%} the cost may be as high as {cost.high:,.2f} a day, against {now:,.2f} where "
            f"people decide all; {step.checked} audited answers tell too little."
        )
    rivals = [one.threshold for other, one in priced if one is not step and other.low < cost.high]
    others = f" {', '.join(f'{one:.0%}' for one in rivals)} may be as good." if rivals else ""
    return step.threshold, (
        f"It costs {cost.low:,.2f} to {cost.high:,.2f} a day, against {now:,.2f} where people decide all.{others}"
    )


def _sentence(step: ThresholdRow) -> str:
    loads = ", ".join(f"{tier} {many:.1f}" for tier, many in step.looks.items()) or "nobody"
    error = f"{step.error.value:.1%}" if step.checked else "not known"
    cost = ""
    if step.cost is not None:
        middle = f"{step.cost.value:,.2f}, " if step.cost.value is not None else ""
        cost = f"; cost {middle}{step.cost.low:,.2f} to {step.cost.high:,.2f} a day"
    return (
        f"from {step.threshold:.1%}: automates {step.automated:.0%}, error {error} "
        f"[{step.error.low:.1%}, {step.error.high:.1%}] on {step.checked} audited; looks a day: {loads}{cost}"
    )
