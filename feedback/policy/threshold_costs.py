"""Confidence thresholds: what each would have saved and cost if the model decided alone from there on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feedback.policy.conditions import Table
from feedback.policy.rule_matching import Router
from feedback.policy.rules import HOLD
from feedback.policy.schema import Policy
from feedback.policy.simulate import Span, TaskHistory, answers_needed, cost_per_answer
from feedback.stats.intervals import Interval, clopper_pearson
from ml_backend.number_format import (
    format_count,
    format_money,
    format_number,
    format_percent,
    format_set_percent,
    format_share,
)

GRID = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99)
Floats = NDArray[np.float64]
CONFIDENCE = 0.95  # joint coverage of all intervals of a table
_ALL_HOLD = f"All intervals hold with {format_set_percent(CONFIDENCE)}."


@dataclass(frozen=True, slots=True)
class Costs:
    """A cost per day, or in all; its interval comes from the error, because the number of answers is known."""

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
    answers: Mapping[str, float]  # answers of people in each tier, per `unit` of the table
    cost: Costs | None  # wages and errors; None where one of them is unknown


@dataclass(frozen=True, slots=True)
class ThresholdTable:
    """All thresholds, and the best one where the data prove it."""

    n: int  # tasks
    days: float
    source: str
    unit: str  # "per day"; "in all" where the time is too short for a daily rate
    answers: Mapping[str, float]  # per unit, where people decide everything
    cost: float | None  # per unit, where people decide everything
    steps: tuple[ThresholdRow, ...]  # () where no task has a prediction
    best: float | None  # the threshold that provably saves most; None where none does
    reason: str  # why that threshold, or why none

    @property
    def sentences(self) -> list[str]:
        """Return the table in sentences."""
        if not self.steps:
            return [f"No threshold can be compared: {self.reason}"]
        loads = ", ".join(f"{tier} {format_number(each)}" for tier, each in self.answers.items()) or "none"
        cost = f", cost {format_money(self.cost)} {self.unit}" if self.cost is not None else ""
        best = f"Best: {format_set_percent(self.best)}. " if self.best is not None else "No threshold is named best: "
        return [
            f"{Span(self.days).describe(self.n, self.source)}.",
            f"If people decide everything: {loads} answers {self.unit}{cost}.",
            *(_row_text(step, self.unit) for step in self.steps),
            best + self.reason,
            f"Errors are those on audited tasks, which no model learns. {_ALL_HOLD}",
            "Audit tasks stand for the others here: people always answer them, so they are never automated.",
            "The consensus of people counts as right. Nothing is automated before certificates exist.",
        ]


def evaluate_thresholds(policy: Policy, history: TaskHistory, checked: Mapping[int, str]) -> ThresholdTable:
    """Evaluate each threshold on tasks that have `model.confidence` and `model.label`.

    `checked` holds the consensus label of people for tasks of the random audit stream: only they give the error of
    the model without bias.
    """
    span = Span(history.days)
    confidence = np.array([np.nan if value is None else float(value) for value in history.column("model.confidence")])
    if np.isnan(confidence).all():
        reason = (
            "no model has predicted any of them yet."
            if len(history.tasks)
            else "there is no task yet, or the model has learned from each of them."
        )
        n = len(history.tasks)
        return ThresholdTable(n, history.days, history.source, span.unit, {}, None, (), None, reason)
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

    def wages(answered: Mapping[str, float]) -> float:
        return sum(count * price for tier, count in answered.items() if not isinstance(price := prices[tier], str))

    everything = _answers_by_tier(tiers, answers, np.ones(len(tiers), dtype=bool), span)
    steps = []
    for threshold in GRID:
        automated = confidence >= threshold  # NaN is never larger
        seen = automated & ~np.isnan(wrong)
        k, m = int(np.nansum(wrong[seen])), int(seen.sum())
        error = clopper_pearson(k, m, confidence=1.0 - (1.0 - CONFIDENCE) / len(GRID))
        kept = _answers_by_tier(tiers, answers, ~automated, span)
        cost = None
        if not unknown:
            each = span.rate(float(policy.costs.error or 0.0) * int(automated.sum()))
            paid = wages(kept)
            value = paid + each * error.value if m else None
            cost = Costs(paid + each * error.low, value, paid + each * error.high)
        share = float(automated.mean()) if len(automated) else 0.0
        steps.append(ThresholdRow(threshold, share, error, m, kept, cost))
    now = None if any(isinstance(price, str) for price in prices.values()) else wages(everything)
    best, reason = _best(steps, now, unknown, span.unit)
    table = (len(history.tasks), history.days, history.source, span.unit, everything, now, tuple(steps))
    return ThresholdTable(*table, best, reason)


def _answers_by_tier(tiers: Sequence[str], answers: Floats, kept: NDArray[np.bool_], span: Span) -> dict[str, float]:
    found: Counter[str] = Counter()
    for tier, count, is_kept in zip(tiers, answers.tolist(), kept.tolist(), strict=True):
        if is_kept and count:
            found[tier] += count
    return {tier: span.rate(count) for tier, count in found.items()}


def _best(
    steps: Sequence[ThresholdRow], now: float | None, unknown: Sequence[str], unit: str
) -> tuple[float | None, str]:
    """Return the best threshold only where even the upper end of its cost is below the cost of people alone."""
    if unknown:
        return None, f"{'; '.join(dict.fromkeys(unknown))}."
    priced = [(step.cost, step) for step in steps if step.cost is not None and step.automated > 0]
    if now is None or not priced:
        return None, "the model is sure enough of no task."
    cost, step = min(priced, key=lambda pair: pair[0].high)
    if cost.high >= now:
        return None, (
            f"even at {format_set_percent(step.threshold)} the cost may be {format_money(cost.high)} {unit}, "
            f"and is {format_money(now)} "
            f"if people decide everything. {step.checked} audited answers are too few."
        )
    rivals = [row.threshold for other, row in priced if row is not step and other.low < cost.high]
    others = f" {', '.join(map(format_set_percent, rivals))} may be as good." if rivals else ""
    return step.threshold, (
        f"It costs {format_money(cost.low)} to {format_money(cost.high)} {unit}, and {format_money(now)} if people "
        f"decide everything.{others}"
    )


def _row_text(step: ThresholdRow, unit: str) -> str:
    loads = ", ".join(f"{tier} {format_number(each)}" for tier, each in step.answers.items()) or "none"
    cost = ""
    if step.cost is not None:
        bounds = f"{format_money(step.cost.low)} to {format_money(step.cost.high)}"
        cost = f"; cost {bounds if step.cost.value is None else f'{format_money(step.cost.value)} ({bounds})'} {unit}"
    return (
        f"from {format_set_percent(step.threshold)}: automates {format_percent(step.automated)}, "
        f"error {format_share(step.error.value, step.error.low, step.error.high)} on {format_count(step.checked)} "
        f"audited; answers {unit}: {loads}{cost}"
    )
