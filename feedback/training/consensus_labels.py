"""Consensus labels: which tasks people have settled, with which label, and which tasks need more votes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial

from feedback.consensus.consensus import AggregatedLabel, AggregatedLabels
from feedback.consensus.label_aggregation import aggregate_columns
from feedback.project.incremental_caches import Changes, RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.store import Vote
from feedback.training.dataset import ConsensusLabel, Dataset
from feedback.training.imported_answers import list_asked_imports
from feedback.training.model_vote import ModelVote, cross_validated_weights
from feedback.votes import VoteColumns
from ml_backend.models import Recipe
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
_AT_ONCE = 50  # tasks asked again because it pays, at a time: each is a request, and the next votes may change it


@dataclass(frozen=True, slots=True)
class ConsensusLabels:
    """Every answered task: settled, waiting for another vote, or neither, where people differ to the end."""

    settled: tuple[ConsensusLabel, ...]  # by task
    needs_more_votes: Mapping[int, int]  # task -> votes it has; a settled task may be asked again, too
    changes: Changes = field(default=Changes(), compare=False, repr=False)


def settle(
    votes: Mapping[int, Sequence[Vote]],
    wanted: Callable[[int], int],
    *,
    max_votes: int,
    aggregated: Mapping[int, AggregatedLabel],
    sure: float = 1.0,
    worth_another: Set[int] = frozenset(),
) -> tuple[dict[int, ConsensusLabel], dict[int, int]]:
    """Return the labels of settled tasks, and the number of votes of tasks that need more.

    A task is settled when it has as many votes as are `wanted` of it, and one answer leads. A tie asks for one more
    vote until `max_votes` (or the wanted number, if larger). What is still tied then stays unsettled and is asked no
    more. Where `aggregated` has a label (people weighed by their reliability), it is the answer, and a tie is settled
    once it is as `sure`. The tasks of `worth_another` are asked for one more vote below `max_votes`, settled or not.
    """
    settled, needs_votes = dict[int, ConsensusLabel](), dict[int, int]()
    for task, given in votes.items():
        leaders, label, wants = _leaders(given), aggregated.get(task), wanted(task)
        decided = len(leaders) == 1 or (label is not None and label.confidence >= sure)
        done = decided and len(given) >= wants
        if done:
            settled[task] = _label(task, leaders[0] if label is None else label.answer, given, label)
        most = max(wants, max_votes)
        if done:
            most = max_votes if task in worth_another else 0
        if len(given) < most:
            needs_votes[task] = len(given)
    return settled, needs_votes


def _leaders(votes: Sequence[Vote]) -> list[Answer]:
    if len(votes) == 1:
        return [votes[0].answer]
    counts = Counter(vote.answer for vote in votes)
    most = max(counts.values())
    return [answer for answer, count in counts.items() if count == most]


def _label(task: int, answer: Answer, votes: Sequence[Vote], aggregated: AggregatedLabel | None) -> ConsensusLabel:
    support = sum(vote.answer == answer for vote in votes) / len(votes)
    # a person who was outvoted taught the answer too: their annotation counts as learned from
    annotations = tuple(sorted(vote.annotation for vote in votes))
    if aggregated is None:
        return ConsensusLabel(
            task, answer, len(votes), support, annotations, confidence=support, weight=round(support, 2)
        )
    confidence, weight = aggregated.confidence, aggregated.weight
    support = support or confidence  # no person gave exactly the fused answer, but each gave a part of it
    return ConsensusLabel(task, answer, len(votes), support, annotations, confidence=confidence, weight=weight)


@dataclass(frozen=True, slots=True)
class _Rule:
    """The settings for all tasks: if they change, all tasks are decided again."""

    base: int  # votes that a task wants
    several: bool  # whether the project has two people; before, a second vote is not possible
    overlap: int  # votes of the overlap sample
    gold_votes: Mapping[int, int]  # votes that a gold task wants
    max_votes: int
    sure: float

    @staticmethod
    def of(snapshot: ProjectSnapshot, people: int) -> _Rule:
        base, policy, first = max(1, snapshot.project.overlap), snapshot.policy, set(snapshot.onboarding)
        gold_votes = {  # all people answer them; those that come first wait for the next new person
            task: max(base, min(people + (task in first), policy.gold.retire_after)) for task in snapshot.gold
        }
        overlap = max(base, policy.overlap.votes)
        return _Rule(base, people > 1, overlap, gold_votes, policy.overlap.max_votes, policy.consensus.sure)

    def wants(self, snapshot: ProjectSnapshot, task: int) -> int:
        """Return the votes that a task wants."""
        wants = self.overlap if self.several and task in snapshot.overlap_sample else self.base
        wants = self.gold_votes.get(task, wants)
        return max(wants, snapshot.routes.overlaps.get(task, wants))


@dataclass(frozen=True, slots=True)
class _Aggregated:
    """What the votes were aggregated to, and from which ones."""

    snapshot: ProjectSnapshot
    by: str
    votes: VoteColumns = field(repr=False)
    labels: AggregatedLabels


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided last, and from what."""

    snapshot: ProjectSnapshot
    aggregated: AggregatedLabels
    rule: _Rule
    worth_another: frozenset[int]
    people: Counter[int] = field(repr=False)  # votes of each person
    settled: dict[int, ConsensusLabel] = field(repr=False)
    needs_votes: dict[int, int] = field(repr=False)
    labels: ConsensusLabels = field(repr=False)


class ConsensusCache:
    """Keeps the decisions of each project, and decides again only about tasks that changed."""

    def __init__(self) -> None:
        self._aggregated = RecentProjects[_Aggregated]()
        self._decided = RecentProjects[_Decided]()

    def aggregate(self, snapshot: ProjectSnapshot) -> AggregatedLabels:
        """Aggregate the votes on the tasks that models learn from; again only when one of these votes changed.

        No other task gets a label. Error rates come from gold tasks where these have enough answers.
        """
        project, by = snapshot.project.id, snapshot.policy.consensus.method
        kept, changed = self._aggregated.get(project), None
        same_rule = kept is not None and (kept.snapshot.book, kept.by) == (snapshot.book, by)
        if kept is not None and same_rule:
            changed = snapshot.changes.since(kept.snapshot.changes.revision)
        if kept is None or changed is None:
            votes = VoteColumns.build(
                vote for task in snapshot.votes_by_task for vote in _aggregated_votes(snapshot, task)
            )
            if kept is not None and same_rule and votes.equals(kept.votes):
                votes = kept.votes
        else:
            old, new = ({task: _aggregated_votes(one, task) for task in changed} for one in (kept.snapshot, snapshot))
            moved = [task for task in changed if _answers(old[task]) != _answers(new[task])]
            votes = kept.votes
            if moved:
                votes = votes.replace_tasks(moved, (vote for task in moved for vote in new[task]))
        if kept is not None and same_rule and votes is kept.votes:
            labels = kept.labels
        else:
            labels = aggregate_columns(votes, by=by, gold=snapshot.book)
            _LOG.debug("project %s: consensus by %s: %s", project, labels.method, labels.reason)
        self._aggregated.put(project, _Aggregated(snapshot, by, votes, labels), size=len(snapshot.votes_by_task))
        return labels

    def decide(self, snapshot: ProjectSnapshot) -> ConsensusLabels:
        """Settle the votes: by the policy's consensus where models learn, by majority where something is proved.

        Audit and gold tasks are people's alone: neither their answers nor how many are asked depends on a model of
        people. Only tasks with changed votes, routes or consensus are decided again.
        """
        kept = self._decided.get(snapshot.project.id)
        aggregated = self.aggregate(snapshot)
        same = kept is not None and kept.snapshot.changes.revision == snapshot.changes.revision != 0
        if kept is not None and same and kept.aggregated is aggregated and kept.snapshot.routes is snapshot.routes:
            return kept.labels
        moved = None if kept is None else snapshot.changes.since(kept.snapshot.changes.revision)
        if kept is None or moved is None:
            people = Counter(vote.person for vote in snapshot.votes)
        else:
            people = kept.people.copy()
            for task in moved:
                people.subtract(vote.person for vote in kept.snapshot.votes_by_task.get(task, ()))
                people.update(vote.person for vote in snapshot.votes_by_task.get(task, ()))
        rule = _Rule.of(snapshot, sum(count > 0 for count in people.values()))
        worth_another = tasks_worth_another_vote(snapshot, aggregated)
        voted = snapshot.votes_by_task
        settle_tasks = partial(
            settle,
            wanted=partial(rule.wants, snapshot),
            max_votes=rule.max_votes,
            aggregated=aggregated.by_task,
            sure=rule.sure,
            worth_another=worth_another,
        )
        if kept is None or moved is None or kept.rule != rule:
            settled, needs_votes = settle_tasks(voted)
            changes = Changes.everything()
        else:
            changed = {*moved, *(kept.worth_another ^ worth_another), *aggregated.changed_since(kept.aggregated)}
            if kept.snapshot.routes.overlaps is not snapshot.routes.overlaps:
                changed |= {
                    task for task, _votes in kept.snapshot.routes.overlaps.items() ^ snapshot.routes.overlaps.items()
                }
            new, more = settle_tasks({task: voted[task] for task in sorted(changed & voted.keys())})
            settled, needs_votes = merged(kept.settled, new, changed), merged(kept.needs_votes, more, changed)
            changes = kept.labels.changes.then(changed)
        labels = ConsensusLabels(tuple(settled.values()), _with_unanswered(snapshot, needs_votes), changes)
        decided = _Decided(snapshot, aggregated, rule, worth_another, people, settled, needs_votes, labels)
        self._decided.put(snapshot.project.id, decided, size=len(settled) + len(needs_votes))
        return labels


def _aggregated_votes(snapshot: ProjectSnapshot, task: int) -> tuple[Vote, ...]:
    """Return the votes on a task that models learn from, or on a gold task; none on any other task."""
    counts = snapshot.roles.get(task) == "train" or task in snapshot.book
    return snapshot.votes_by_task.get(task, ()) if counts else ()


def _answers(votes: Iterable[Vote]) -> list[tuple[int, Answer]]:
    return [(vote.person, vote.answer) for vote in votes]


def _with_unanswered(snapshot: ProjectSnapshot, needs_votes: Mapping[int, int]) -> Mapping[int, int]:
    """Return the tasks that need votes, with those that Label Studio takes for answered although no vote counts.

    Tasks whose votes all count no more come first.
    """
    if not (snapshot.stale or snapshot.imports):
        return needs_votes
    voted = snapshot.votes_by_task.keys()
    stale, imported = sorted(snapshot.stale.keys() - voted), sorted(list_asked_imports(snapshot) - voted)
    return {**dict.fromkeys(stale, 0), **dict.fromkeys(imported, 0), **needs_votes}


def reweigh_with_model(
    snapshot: ProjectSnapshot,
    cache: ConsensusCache,
    dataset: Dataset,
    recipe: Recipe,
    *,
    exclude: Collection[int],
) -> ModelVote:
    """Let the model vote on the weights of training rows, where the policy allows it; `exclude` are tasks of review.

    A hosted model is not used: the cost of training it is not known.
    """
    if not snapshot.policy.consensus.model_votes or snapshot.policy.model.hosted:
        return ModelVote(reason="the policy lets no model vote")
    learned: list[Vote] = [vote for vote in snapshot.votes if snapshot.roles[vote.task] == "train"]
    return cross_validated_weights(
        dataset.of("train"),
        learned,
        cache.aggregate(snapshot),
        recipe,
        field=snapshot.control.field,
        dedup_keys=snapshot.dedup_keys,
        seed=snapshot.policy.train.seed,
        exclude=exclude,
    )


def tasks_worth_another_vote(snapshot: ProjectSnapshot, aggregated: AggregatedLabels) -> frozenset[int]:
    """Return at most 50 tasks, best first, where one more vote gives more information than a vote on a new task.

    Tasks for which a label that no person gave is likelier come first: their label is probably wrong.
    Tasks that were drawn for several votes keep the number that they were drawn for: more on the hard ones would bias
    agreement. Those that are open again already stay so.
    """
    overlap = snapshot.policy.overlap
    if not overlap.adaptive or not aggregated.answers:
        return frozenset()
    voted, held = snapshot.votes_by_task, snapshot.routes.held
    new = any(
        task not in voted and not row.is_labeled and task not in held and snapshot.roles[task] == "train"
        for task, row in snapshot.tasks.items()
    )
    worth = aggregated.list_tasks(
        lambda label: label.doubted or (label.gain > overlap.least_gain and (not new or label.lead > 0))
    )
    labels = aggregated.by_task
    paying = [
        (not labels[task].doubted, snapshot.tasks[task].is_labeled, -labels[task].gain, task)
        for task in worth
        if len(voted.get(task, ())) < overlap.max_votes and task not in snapshot.overlap_sample and task not in held
    ]
    return frozenset(task for *_, task in sorted(paying)[:_AT_ONCE])
