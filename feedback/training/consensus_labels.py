"""Concluding: what people settled so far, and on which tasks another opinion pays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from feedback.consensus.aggregated_label import Opinions
from feedback.consensus.label_aggregation import Weighing
from feedback.project.snapshot import Scene
from feedback.training.dataset import Dataset
from feedback.training.label_decisions import Settlement, settle
from feedback.training.model_vote import Heard, hear_model
from ml_backend.models import Recipe

_AT_ONCE = 50  # tasks asked again because it pays, at a time: each is a request, and the next votes may change it


def conclude(scene: Scene, weighing: Weighing) -> Settlement:
    """Settle a project's votes: by the policy's consensus where models learn, by majority where something is proved.

    Audit and gold tasks are people's alone: neither their answers nor how many are asked depends on a model of people.
    """
    opinions = opinions_of(scene, weighing)
    settlement = settle(
        scene.votes,
        scene.wanted,
        max_votes=scene.policy.overlap.max_votes,
        opinions=opinions.by_task,
        sure=scene.policy.consensus.sure,
        again=worth_asking_again(scene, opinions),
    )
    asked_anew = dict.fromkeys(scene.stale.keys() - {vote.task for vote in scene.votes}, 0)
    return replace(settlement, wanting={**asked_anew, **settlement.wanting}) if asked_anew else settlement


def opinions_of(scene: Scene, weighing: Weighing) -> Opinions:
    """What the votes say together on the tasks that models learn from; no other task has an opinion.

    Gold tells how people err, where it was answered enough; what gold tasks say is settled by people alone.
    """
    heard = [vote for vote in scene.votes if scene.roles[vote.task] == "train" or vote.task in scene.book]
    return weighing.of(scene.project.id, heard, by=scene.policy.consensus.method, gold=scene.book)


def hear(scene: Scene, weighing: Weighing, dataset: Dataset, recipe: Recipe, *, but: Collection[int]) -> Heard:
    """Let the model vote on the weights of training rows, where the policy lets it; `but` are tasks of review.

    A hosted model is not asked: what one training of it costs is somebody else's code.
    """
    if not scene.policy.consensus.model_votes or scene.policy.model.hosted:
        return Heard(reason="the policy lets no model vote")
    learned = [vote for vote in scene.votes if scene.roles[vote.task] == "train"]
    return hear_model(
        dataset.of("train"),
        learned,
        opinions_of(scene, weighing),
        recipe,
        field=scene.control.field,
        units=scene.units,
        seed=scene.policy.train.seed,
        but=but,
    )


def worth_asking_again(scene: Scene, opinions: Opinions) -> frozenset[int]:
    """The tasks on which one more vote tells more than it would on a new task, the best first.

    Before them come those whose answer is believed less than one that nobody gave: they are likelier wrong than right.
    Tasks that were drawn for several votes keep the number that they were drawn for: more on the hard ones would bias
    agreement. Those that are open again already stay so.
    """
    if not scene.policy.overlap.adaptive or not opinions.gain:
        return frozenset()
    given = Counter(vote.task for vote in scene.votes)
    new = any(
        task not in given and not one.is_labeled and task not in scene.routes.held and scene.roles[task] == "train"
        for task, one in scene.tasks.items()
    )
    paying = [
        (not opinions.by_task[task].doubted, scene.tasks[task].is_labeled, -gain, task)
        for task, gain in opinions.gain.items()
        if (opinions.by_task[task].doubted or _pays(scene, opinions, task, new=new))
        and given[task] < scene.policy.overlap.max_votes
        and task not in scene.doubled
        and task not in scene.routes.held
    ]
    return frozenset(task for *_, task in sorted(paying)[:_AT_ONCE])


def _pays(scene: Scene, opinions: Opinions, task: int, *, new: bool) -> bool:
    return opinions.gain[task] > scene.policy.overlap.least_gain and (not new or opinions.lead[task] > 0)
