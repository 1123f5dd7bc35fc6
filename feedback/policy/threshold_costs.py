"""Confidence thresholds: what each would have saved and cost if the model decided alone from there on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.policy.conditions import Table
from feedback.policy.rule_matching import Router
from feedback.policy.rules import HOLD
from feedback.policy.schema import Policy
from feedback.policy.simulate import TaskHistory, answers_needed, cost_per_answer
from feedback.stats.intervals import Interval, clopper_pearson

GRID = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
CONFIDENCE = 0.95  # joint coverage of all intervals of a table


@dataclass(frozen=True, slots=True)
class Costs:
    """A daily cost; its interval comes from the error, because the number of answers is known."""

    low: float
    value: float | None  # None where no answer was checked
    high: float


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """One threshold: the model decides tasks with at least this confidence, people decide the others as now."""

    threshold: float
    automated: float  # share of the tasks, [0, 1]
    error: Interval  # share of the automated tasks that people answer differently
    checked: int  # number of audited tasks behind the error
    answers: Mapping[str, float]  # answers of people per day in each tier
    cost: Costs | None  # wages and errors; None where one of them is unknown


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """All thresholds, and the best one where the data prove it."""

    n: int  # tasks
    days: float
    source: str
    answers: Mapping[str, float]  # per day, where people decide everything
    cost: float | None  # per day, where people decide everything
    steps: tuple[ThresholdRow, ...]
    best: float | None  # the threshold that provably saves most; None where none does
    reason: str  # why that threshold, or why none

    @property
    def sentences(self) -> list[str]:
        """Return the table in sentences."""
        loads = ", ".join(f"{tier} {count:.1f}" for tier, count in self.answers.items()) or "none"
        cost = f", cost {self.cost:,.2f} per day" if self.cost is not None else ""
        best = f"Best: {self.best:.0%}. " if self.best is not None else "No threshold is named best: "
        return [
            f"{self.n:,} {self.source} over {self.days:.1f} days.",
            f"If people decide everything: {loads} answers per day{cost}.",
            *(_row_text(step) for step in self.steps),
            best + self.reason,
            f"Errors are those on audited tasks, which no model learns. All intervals hold with {CONFIDENCE:.0%}.",
            "Audit tasks stand for the others here: people always answer them, so they are never automated.",
            "The consensus of people counts as right. Nothing is automated before certificates exist.",
        ]


def evaluate_thresholds(policy: Policy, history: TaskHistory, checked: Mapping[int, str]) -> ThresholdTable:
    """Evaluate each threshold on tasks that have `model.confidence` and `model.label`.

    `checked` holds the consensus label of people for tasks of the random audit stream: only they give the error of
    the model without bias.
    """
    confidence = np.array([np.nan if value is None else float(value) for value in history.column("model.confidence")])
    labels = history.column("model.label")
    wrong = np.array(
        [
            np.nan if task not in checked or label is None else float(label != checked[task])
            for task, label in zip(history.tasks, labels, strict=True)
        ]
    )
    outcomes = Router(policy).route_table(Table(len(history.tasks), history.column))
    tiers = [outcome.to for outcome in outcomes]
    answers = np.array(
        [0 if outcome.to == HOLD else answers_needed(policy, outcome) for outcome in outcomes], dtype=float
    )
    prices = {tier: cost_per_answer(policy, tier, history.handling_s) for tier in dict.fromkeys(tiers) if tier != HOLD}
    unknown = [price for price in prices.values() if isinstance(price, str)]
    if policy.costs.error is None:
        unknown.append("costs.error is not set: the cost of a wrong answer")

    def wages(per_day: Mapping[str, float]) -> float:
        return sum(count * price for tier, count in per_day.items() if not isinstance(price := prices[tier], str))

    everything = _per_day(tiers, answers, np.ones(len(tiers), dtype=bool), history.days)
    steps = []
    for threshold in GRID:
        automated = confidence >= threshold  # NaN is never larger
        seen = automated & ~np.isnan(wrong)
        k, m = int(np.nansum(wrong[seen])), int(seen.sum())
        error = clopper_pearson(k, m, confidence=1.0 - (1.0 - CONFIDENCE) / len(GRID))
        kept = _per_day(tiers, answers, ~automated, history.days)
        cost = None
        if not unknown:
            each = float(policy.costs.error or 0.0) * int(automated.sum()) / history.days
            paid = wages(kept)
            value = paid + each * error.value if m else None
            cost = Costs(paid + each * error.low, value, paid + each * error.high)
        share = float(automated.mean()) if len(automated) else 0.0
        steps.append(ThresholdRow(threshold, share, error, m, kept, cost))
    now = None if any(isinstance(price, str) for price in prices.values()) else wages(everything)
    best, reason = _best(steps, now, unknown)
    return ThresholdTable(len(history.tasks), history.days, history.source, everything, now, tuple(steps), best, reason)


def _per_day(tiers: Sequence[str], answers: np.ndarray, kept: np.ndarray, days: float) -> dict[str, float]:  # type: ignore[type-arg]
    found: Counter[str] = Counter()
    for tier, count, is_kept in zip(tiers, answers.tolist(), kept.tolist(), strict=True):
        if is_kept and count:
            found[tier] += count
    return {tier: count / days for tier, count in found.items()}


def _best(steps: Sequence[ThresholdRow], now: float | None, unknown: Sequence[str]) -> tuple[float | None, str]:
    """Return the best threshold only where even the upper end of its cost is below the cost of people alone."""
    if unknown:
        return None, f"{'; '.join(dict.fromkeys(unknown))}."
    priced = [(step.cost, step) for step in steps if step.cost is not None and step.automated > 0]
    if now is None or not priced:
        return None, "the model is sure enough of no task."
    cost, step = min(priced, key=lambda pair: pair[0].high)
    if cost.high >= now:
        return None, (
            f"even at {step.threshold:.0%} the cost may be as high as {cost.high:,.2f} per day, and is {now:,.2f} "
            f"if people decide everything. {step.checked} audited answers are too few."
        )
    rivals = [row.threshold for other, row in priced if row is not step and other.low < cost.high]
    others = f" {', '.join(f'{rival:.0%}' for rival in rivals)} may be as good." if rivals else ""
    return step.threshold, (
        f"It costs {cost.low:,.2f} to {cost.high:,.2f} per day, and {now:,.2f} if people decide everything.{others}"
    )


def _row_text(step: ThresholdRow) -> str:
    loads = ", ".join(f"{tier} {count:.1f}" for tier, count in step.answers.items()) or "nobody"
    error = f"{step.error.value:.1%}" if step.checked else "unknown"
    cost = ""
    if step.cost is not None:
        middle = f"{step.cost.value:,.2f}, " if step.cost.value is not None else ""
        cost = f"; cost {middle}{step.cost.low:,.2f} to {step.cost.high:,.2f} per day"
    return (
        f"from {step.threshold:.1%}: automates {step.automated:.0%}, error {error} "
        f"[{step.error.low:.1%}, {step.error.high:.1%}] on {step.checked} audited; answers per day: {loads}{cost}"
    )
