"""When it is time to train again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from feedback.policy import Policy
from feedback.training.dataset import Dataset


@dataclass(frozen=True, slots=True)
class LastTraining:
    """What the last training saw."""

    fingerprint: str
    rows: int  # training rows
    recipe: str
    tasks: frozenset[int]  # the training rows' tasks
    annotations: frozenset[int] | None = None  # the answers behind them; None: not known, so tasks tell alone


def first_model_waits_for(dataset: Dataset, policy: Policy) -> str:
    """Say what the first model still waits for; "" where nothing is missing."""
    rows = dataset.of("train")
    if len(rows) < policy.train.min_rows:
        return f"{len(rows)} of the {policy.train.min_rows} answered training tasks; audit tasks do not count"
    labels = {row.label for row in rows}
    return "" if len(labels) > 1 else f"a second label; all {len(rows)} training tasks have the answer {labels.pop()!r}"


def retrain_reason(
    dataset: Dataset,
    last: LastTraining | None,
    *,
    recipe: str,
    policy: Policy,
    overrides: Callable[[], Collection[int]] = list,
    forgotten: Callable[[], Collection[int]] = list,
) -> str:
    """Say why a challenger should be trained now; "" when it should not.

    The first model waits for `train.min_rows` with two classes; later ones for `train.min_new` new answers or
    `train.growth` of the rows that the last one saw, whichever is more. A changed recipe is always due; a
    changed or withdrawn answer counts as a new one. Fewer are enough where `train.overrides` of them changed what the
    model had shown; `overrides` gives the annotations that ever did. One that the last training saw and that is
    forgotten since is enough, too: `forgotten` gives those.
    """
    rows = dataset.of("train")
    if len({row.label for row in rows}) < 2 or len(rows) < policy.train.min_rows:
        return ""
    if last is None:
        return f"first model: {len(rows)} answers"
    if last.fingerprint == dataset.fingerprint and last.recipe == recipe:
        return ""
    if last.recipe != recipe:
        return f"recipe changed from {last.recipe} to {recipe}"
    known = last.annotations
    if known and (gone := known.intersection(forgotten())):
        return f"{len(gone)} answers that it learned from were forgotten"
    fresh = {row.task for row in rows if known is not None and not known.issuperset(row.annotations)}
    new = len(fresh | ({row.task for row in rows} ^ last.tasks))
    needed = max(policy.train.min_new, int(policy.train.growth * last.rows))
    if new >= needed:
        return f"{new} new answers"
    if known is None or len(fresh) < policy.train.overrides:
        return ""
    overriding = set(overrides()) - known
    changed = sum(not overriding.isdisjoint(row.annotations) for row in rows)
    return f"{changed} new answers changed what the model showed" if changed >= policy.train.overrides else ""
