"""When it is time to train again."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from feedback.policy import Policy
from feedback.project.incremental_caches import Changes
from feedback.training.dataset import Dataset

MIN_JUDGED = 10  # tune and judge rows; as many as a first model of people's own answers usually has


@dataclass(frozen=True, slots=True)
class LastTraining:
    """What the last training saw."""

    fingerprint: str
    rows: int  # training rows
    recipe: str
    tasks: frozenset[int]  # the training rows' tasks
    annotations: frozenset[int]  # the answers behind them


@dataclass(frozen=True, slots=True)
class UnseenRows:
    """The tasks whose training rows the last training did not see as they are now."""

    last: LastTraining
    changes: Changes = field(compare=False)  # of the data set
    fresh: frozenset[int]  # tasks with an answer that it did not learn from
    moved: frozenset[int]  # tasks that are training rows of only one of the two

    @staticmethod
    def find(dataset: Dataset, last: LastTraining, kept: UnseenRows | None = None) -> UnseenRows:
        """Compare the rows with the last training; only changed rows where `kept` is of an earlier data set."""
        changed = None
        if kept is not None and kept.last == last:
            changed = dataset.changes.since(kept.changes.revision)
        if kept is None or changed is None:
            rows, seen, fresh, moved = dataset.of("train"), last.tasks, frozenset[int](), frozenset[int]()
        else:
            rows = [row for row in dataset.find(changed) if row.role == "train"]
            seen, fresh, moved = last.tasks & changed, kept.fresh - changed, kept.moved - changed
        fresh |= {row.task for row in rows if not last.annotations.issuperset(row.annotations)}
        return UnseenRows(last, dataset.changes, fresh, moved | (seen ^ {row.task for row in rows}))


def first_model_waits_for(dataset: Dataset, policy: Policy, open_audit: Callable[[], int] = lambda: 0) -> str:
    """Say what the first model still waits for; "" where nothing is missing.

    A model that learns mostly what was imported waits for people's answers to audit tasks, too: nothing else measures
    it, and it would be rejected without them. `open_audit` counts the audit tasks that people can still answer.
    """
    rows, wanted = dataset.of("train"), policy.train.min_rows
    if len(rows) < wanted:
        imported = f" ({dataset.n_imported} of them imported)" if dataset.n_imported else ""
        more = f"{wanted - len(rows)} more needed (audit tasks do not count)"
        return f"{len(rows)} of {wanted} training tasks answered{imported}; {more}"
    if all(row.label == rows[0].label for row in rows):
        return f"all {len(rows)} training tasks have the answer {rows[0].label!r}; a second label is needed"
    if len(rows) - dataset.n_imported >= wanted or (judged := dataset.count("tune", "judge")) >= MIN_JUDGED:
        return ""
    n_open = open_audit()
    if not judged + n_open:
        return (
            "no audit task is left that people could answer, and imported answers measure no model; "
            'new tasks help, or `ask = "audit"` in [imports] of the policy'
        )
    needed = min(MIN_JUDGED, judged + n_open)
    known = f"{judged} of {needed} audit tasks answered by people, which measure a model of imported answers"
    return f"{known}; {needed - judged} more needed" if judged < needed else ""


def retrain_reason(
    dataset: Dataset,
    last: LastTraining | None,
    *,
    recipe: str,
    policy: Policy,
    unseen: UnseenRows | None = None,
    overrides: Callable[[], Collection[int]] = list,
    forgotten: Callable[[], Collection[int]] = list,
    open_audit: Callable[[], int] = lambda: 0,
) -> str:
    """Say why a challenger should be trained now; "" when it should not.

    The first model waits for what `first_model_waits_for` says; later ones for `train.min_new` new answers or
    `train.growth` of the rows that the last one saw, whichever is more. A changed recipe is always due; a
    changed or withdrawn answer counts as a new one. Fewer are enough where `train.overrides` of them changed what the
    model had shown; `overrides` gives the annotations that ever did. One that the last training saw and that is
    forgotten since is enough, too: `forgotten` gives those. `unseen` is found where it is not given.
    """
    rows = dataset.of("train")
    if len(rows) < policy.train.min_rows or all(row.label == rows[0].label for row in rows):
        return ""
    if last is None:
        imported = f", {dataset.n_imported} of them imported" if dataset.n_imported else ""
        waits = first_model_waits_for(dataset, policy, open_audit)
        return "" if waits else f"first model: {len(rows)} answers{imported}"
    if last.fingerprint == dataset.fingerprint and last.recipe == recipe:
        return ""
    if last.recipe != recipe:
        return f"recipe changed from {last.recipe} to {recipe}"
    if gone := last.annotations.intersection(forgotten()):
        return f"{len(gone)} answers that it learned from were forgotten"
    unseen = unseen or UnseenRows.find(dataset, last)
    new = len(unseen.fresh | unseen.moved)
    needed = max(policy.train.min_new, int(policy.train.growth * last.rows))
    if new >= needed:
        return f"{new} new answers"
    if len(unseen.fresh) < policy.train.overrides:
        return ""
    overriding = set(overrides()) - last.annotations
    changed = sum(not overriding.isdisjoint(row.annotations) for row in dataset.find(unseen.fresh))
    return f"{changed} new answers changed what the model showed" if changed >= policy.train.overrides else ""
