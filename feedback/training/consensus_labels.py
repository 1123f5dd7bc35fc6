"""Consensus labels: which tasks people have settled, with which label, and which tasks need more votes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Protocol

from feedback.consensus.consensus import AggregatedLabel, AggregatedLabels
from feedback.consensus.label_aggregation import aggregate_columns
from feedback.project.changes import Changes
from feedback.project.recent_projects import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.project.task_cache import merged
from feedback.store import Vote
from feedback.training.dataset import ConsensusLabel, Dataset
from feedback.training.model_vote import ModelVote, cross_validated_weights
from feedback.votes import VoteColumns
from ml_backend.models import Recipe
from ml_backend.records import Answer

_LOG = logging.getLogger(__name__)
_AT_ONCE = 50  # tasks asked again because it pays, at a time: each is a request, and the next votes may change it


class _VoteLike(Protocol):
    """What settling needs of a vote: one person's latest answer to one task."""

    @property
    def task(self) -> int: ...
    @property
    def answer(self) -> Answer: ...
    @property
    def annotation(self) -> int: ...


@dataclass(frozen=True, slots=True)
class ConsensusLabels:
    """Every answered task: settled, waiting for another vote, or neither, where people differ to the end."""

    settled: tuple[ConsensusLabel, ...]  # by task
    needs_more_votes: Mapping[int, int]  # task -> votes it has; a settled task may be asked again, too
    changes: Changes = field(default=Changes(), compare=False, repr=False)


def settle(
    votes: Iterable[_VoteLike],
    wanted: Mapping[int, int],
    *,
    max_votes: int,
    aggregated: Mapping[int, AggregatedLabel] | None = None,
    sure: float = 1.0,
    again: Set[int] = frozenset(),
) -> ConsensusLabels:
    """Settle tasks by majority: a task is done when it has the votes it wants and one answer leads.

    `wanted` holds the votes of tasks that want more than one. A tie asks for one more vote until `max_votes`
    (or the wanted number, if larger). What is still tied then stays unsettled and is asked no more.

    Where `aggregated` has a label (people weighed by their reliability), it is the answer, and a tie is settled once
    it is as `sure`. The tasks of `again` are asked for one more vote below `max_votes`, settled or not.

    Examples
    --------
    >>> from ml_backend.records import Answer
    >>> from types import SimpleNamespace as Vote
    >>> spam, ham = Answer("choices", ("spam",)), Answer("choices", ("ham",))
    >>> votes = [Vote(task=1, answer=spam, annotation=7), Vote(task=1, answer=ham, annotation=8)]
    >>> settle(votes, {1: 2}, max_votes=3)
    ConsensusLabels(settled=(), needs_more_votes={1: 2})
    """
    by_task: dict[int, list[_VoteLike]] = {}
    for vote in votes:
        by_task.setdefault(vote.task, []).append(vote)
    labels, needs = list[ConsensusLabel](), dict[int, int]()
    for task, given in sorted(by_task.items()):
        label, more = _settle_task(
            task,
            given,
            wanted.get(task, 1),
            max_votes=max_votes,
            aggregated=(aggregated or {}).get(task),
            sure=sure,
            again=task in again,
        )
        if label is not None:
            labels.append(label)
        if more:
            needs[task] = len(given)
    return ConsensusLabels(tuple(labels), needs)


def _settle_task(
    task: int,
    votes: Sequence[_VoteLike],
    wants: int,
    *,
    max_votes: int,
    aggregated: AggregatedLabel | None,
    sure: float,
    again: bool,
) -> tuple[ConsensusLabel | None, bool]:
    """Return the label of one answered task, and whether it needs another vote."""
    leaders = _leaders(votes)
    decided = len(leaders) == 1 or (aggregated is not None and aggregated.confidence >= sure)
    done = decided and len(votes) >= wants
    most = max_votes if done and again else 0 if done else max(wants, max_votes)
    label = None
    if done:
        label = _label(task, leaders[0] if aggregated is None else aggregated.answer, votes, aggregated)
    return label, len(votes) < most


def _leaders(votes: Sequence[_VoteLike]) -> list[Answer]:
    if len(votes) == 1:
        return [votes[0].answer]
    counts = Counter(vote.answer for vote in votes)
    most = max(counts.values())
    return [answer for answer, count in counts.items() if count == most]


def _label(task: int, answer: Answer, votes: Sequence[_VoteLike], aggregated: AggregatedLabel | None) -> ConsensusLabel:
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
    again: frozenset[int]
    people: Counter[int] = field(repr=False)  # votes of each person
    settled: dict[int, ConsensusLabel] = field(repr=False)
    needs: dict[int, int] = field(repr=False)
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
            moved = [task for task in changed if _answers(kept.snapshot, task) != _answers(snapshot, task)]
            new = (vote for task in moved for vote in _aggregated_votes(snapshot, task))
            votes = kept.votes.replace_tasks(moved, new) if moved else kept.votes
        if kept is not None and same_rule and votes is kept.votes:
            labels = kept.labels
        else:
            labels = aggregate_columns(votes, by=by, gold=snapshot.book)
            _LOG.info("project %s: consensus by %s: %s", project, labels.method, labels.reason)
        self._aggregated.put(project, _Aggregated(snapshot, by, votes, labels), size=len(snapshot.votes_by_task))
        return labels

    def decide(self, snapshot: ProjectSnapshot) -> ConsensusLabels:
        """Return what `decide_labels` decides; it looks only at tasks with changed votes, routes or consensus."""
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
        again = tasks_worth_another_vote(snapshot, aggregated)
        voted = snapshot.votes_by_task
        if kept is None or moved is None or kept.rule != rule:
            settled, needs = _decide_tasks(snapshot, aggregated, rule, again, voted)
            changes = Changes.everything()
        else:
            changed = {*moved, *(kept.again ^ again), *aggregated.changed_since(kept.aggregated)}
            changed |= _changed_overlaps(kept.snapshot, snapshot)
            new, more = _decide_tasks(snapshot, aggregated, rule, again, sorted(changed & voted.keys()))
            settled, needs = merged(kept.settled, new, changed), merged(kept.needs, more, changed)
            changes = kept.labels.changes.then(changed)
        labels = ConsensusLabels(tuple(settled.values()), _with_stale(snapshot, needs), changes)
        decided = _Decided(snapshot, aggregated, rule, again, people, settled, needs, labels)
        self._decided.put(snapshot.project.id, decided, size=len(settled) + len(needs))
        return labels


def decide_labels(snapshot: ProjectSnapshot, cache: ConsensusCache | None = None) -> ConsensusLabels:
    """Settle a project's votes: by the policy's consensus where models learn, by majority where something is proved.

    Audit and gold tasks are people's alone: neither their answers nor how many are asked depends on a model of people.
    """
    return (cache or ConsensusCache()).decide(snapshot)


def _aggregated_votes(snapshot: ProjectSnapshot, task: int) -> tuple[Vote, ...]:
    """Return the votes on a task that models learn from, or on a gold task; none on any other task."""
    counts = snapshot.roles.get(task) == "train" or task in snapshot.book
    return snapshot.votes_by_task.get(task, ()) if counts else ()


def _answers(snapshot: ProjectSnapshot, task: int) -> list[tuple[int, Answer]]:
    return [(vote.person, vote.answer) for vote in _aggregated_votes(snapshot, task)]


def _changed_overlaps(old: ProjectSnapshot, new: ProjectSnapshot) -> set[int]:
    before, after = old.routes.overlaps, new.routes.overlaps
    return {task for task, _votes in before.items() ^ after.items()} if before is not after else set()


def _decide_tasks(
    snapshot: ProjectSnapshot,
    aggregated: AggregatedLabels,
    rule: _Rule,
    again: frozenset[int],
    tasks: Iterable[int],
) -> tuple[dict[int, ConsensusLabel], dict[int, int]]:
    settled, needs, voted = dict[int, ConsensusLabel](), dict[int, int](), snapshot.votes_by_task
    for task in tasks:
        label, more = _settle_task(
            task,
            voted[task],
            rule.wants(snapshot, task),
            max_votes=rule.max_votes,
            aggregated=aggregated.by_task.get(task),
            sure=rule.sure,
            again=task in again,
        )
        if label is not None:
            settled[task] = label
        if more:
            needs[task] = len(voted[task])
    return settled, needs


def _with_stale(snapshot: ProjectSnapshot, needs: Mapping[int, int]) -> Mapping[int, int]:
    """Return the tasks that need votes; before them those of which no vote counts any more."""
    stale = dict.fromkeys(sorted(snapshot.stale.keys() - snapshot.votes_by_task.keys()), 0)
    return {**stale, **needs} if stale else needs


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
