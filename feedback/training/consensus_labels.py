"""Concluding: what people settled so far, and on which tasks another opinion pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from feedback.consensus.aggregated_label import AggregatedLabels
from feedback.consensus.label_aggregation import AggregationCache
from feedback.project.snapshot import ProjectSnapshot
from feedback.training.dataset import Dataset
from feedback.training.label_decisions import ConsensusLabels, settle
from feedback.training.model_vote import ModelVote, cross_validated_weights
from ml_backend.models import Recipe

_AT_ONCE = 50  # tasks asked again because it pays, at a time: each is a request, and the next votes may change it


def decide_labels(snapshot: ProjectSnapshot, aggregation_cache: AggregationCache) -> ConsensusLabels:
    """Settle a project's votes: by the policy's consensus where models learn, by majority where something is proved.

    Audit and gold tasks are people's alone: neither their answers nor how many are asked depends on a model of people.
    """
    opinions = aggregated_labels(snapshot, aggregation_cache)
    consensus_labels = settle(
        snapshot.votes,
        snapshot.wanted,
        max_votes=snapshot.policy.overlap.max_votes,
        opinions=opinions.by_task,
        sure=snapshot.policy.consensus.sure,
        again=tasks_worth_another_vote(snapshot, opinions),
    )
    asked_anew = dict.fromkeys(snapshot.stale.keys() - {vote.task for vote in snapshot.votes}, 0)
    return (
        replace(consensus_labels, wanting={**asked_anew, **consensus_labels.wanting})
        if asked_anew
        else consensus_labels
    )


def aggregated_labels(snapshot: ProjectSnapshot, aggregation_cache: AggregationCache) -> AggregatedLabels:
    """What the votes say together on the tasks that models learn from; no other task has an opinion.

    Gold tells how people err, where it was answered enough; what gold tasks say is settled by people alone.
    """
    heard = [vote for vote in snapshot.votes if snapshot.roles[vote.task] == "train" or vote.task in snapshot.book]
    return aggregation_cache.of(snapshot.project.id, heard, by=snapshot.policy.consensus.method, gold=snapshot.book)


def reweigh_with_model(
    snapshot: ProjectSnapshot,
    aggregation_cache: AggregationCache,
    dataset: Dataset,
    recipe: Recipe,
    *,
    but: Collection[int],
) -> ModelVote:
    """Let the model vote on the weights of training rows, where the policy lets it; `but` are tasks of review.

    A hosted model is not asked: what one training of it costs is somebody else's code.
    """
    if not snapshot.policy.consensus.model_votes or snapshot.policy.model.hosted:
        return ModelVote(reason="the policy lets no model vote")
    learned = [vote for vote in snapshot.votes if snapshot.roles[vote.task] == "train"]
    return cross_validated_weights(
        dataset.of("train"),
        learned,
        aggregated_labels(snapshot, aggregation_cache),
        recipe,
        field=snapshot.control.field,
        units=snapshot.units,
        seed=snapshot.policy.train.seed,
        but=but,
    )


def tasks_worth_another_vote(snapshot: ProjectSnapshot, opinions: AggregatedLabels) -> frozenset[int]:
    """The tasks on which one more vote tells more than it would on a new task, the best first.

    Before them come those whose answer is believed less than one that nobody gave: they are likelier wrong than right.
    Tasks that were drawn for several votes keep the number that they were drawn for: more on the hard ones would bias
    agreement. Those that are open again already stay so.
    """
    if not snapshot.policy.overlap.adaptive or not opinions.gain:
        return frozenset()
    given = Counter(vote.task for vote in snapshot.votes)
    new = any(
        task not in given
        and not one.is_labeled
        and task not in snapshot.routes.held
        and snapshot.roles[task] == "train"
        for task, one in snapshot.tasks.items()
    )
    paying = [
        (not opinions.by_task[task].doubted, snapshot.tasks[task].is_labeled, -gain, task)
        for task, gain in opinions.gain.items()
        if (opinions.by_task[task].doubted or _pays(snapshot, opinions, task, new=new))
        and given[task] < snapshot.policy.overlap.max_votes
        and task not in snapshot.doubled
        and task not in snapshot.routes.held
    ]
    return frozenset(task for *_, task in sorted(paying)[:_AT_ONCE])


def _pays(snapshot: ProjectSnapshot, opinions: AggregatedLabels, task: int, *, new: bool) -> bool:
    return opinions.gain[task] > snapshot.policy.overlap.least_gain and (not new or opinions.lead[task] > 0)
