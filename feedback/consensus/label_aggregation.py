"""Aggregation of the votes on each task into one label, weighed by how reliable people are."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feedback.consensus import Consensus, hierarchical_dawid_skene, load_method, select_method
from feedback.consensus.consensus import AggregatedLabel, AggregatedLabels
from feedback.consensus.distance_aggregation import aggregate_by_distance
from feedback.consensus.value_of_label import expected_gain
from feedback.errors import VotesError
from feedback.votes import LABEL_KINDS, EncodedVotes, Floats, Ints, Votes, encode_votes
from ml_backend.errors import UnknownName
from ml_backend.records import Answer

Bools = NDArray[np.bool_]

_LOG = logging.getLogger(__name__)
_MAX_LABELS = 200  # error rates grow with its square
_MIN_PEOPLE = 3  # with two people who differ, one cannot see who is wrong
_MIN_VOTES_PER_PERSON = 5.0  # on shared tasks; with fewer, error rates cannot be separated from chance
_EPS = 1e-10


class VoteLike(Protocol):
    """A vote as aggregation needs it: the latest answer of one person to one task."""

    @property
    def task(self) -> int:
        """Return Label Studio's task id."""
        ...

    @property
    def person(self) -> int:
        """Return Label Studio's user id."""
        ...

    @property
    def answer(self) -> Answer:
        """Return the latest answer of this person."""
        ...


def aggregate(votes: Sequence[VoteLike], *, by: str, gold: Mapping[int, Answer] | None = None) -> AggregatedLabels:
    """Aggregate the votes of each task by a method of consensus.

    Error rates are learnt on tasks that several people answered and on gold tasks. A single vote gets the probability
    that its person is right. Numbers and regions are aggregated by their distances.

    Parameters
    ----------
    votes
        Votes on the tasks that models learn from and on gold tasks, and no others: audit tasks are decided by majority,
        so that what they prove does not depend on a model of people.
    by
        Name of the method. "auto" selects one; "majority" and too few votes return no labels, with the reason, and
        leave the decision to the majority.
    gold
        True answers by task id. Gold tasks get no aggregated label.
    """
    return _aggregate(_encode(votes), by, gold or {})


def _aggregate(encoded: EncodedVotes, by: str, gold: Mapping[int, Answer]) -> AggregatedLabels:
    answers = _answers(encoded)
    if by == "majority" or not answers:
        return AggregatedLabels()
    if answers[0].kind not in LABEL_KINDS:
        return aggregate_by_distance(encoded, gold)
    if len(answers) > _MAX_LABELS:
        return AggregatedLabels(reason=f"{len(answers)} different answers are too many to learn error rates")
    if len(answers) < 2:
        return AggregatedLabels(reason="everybody gives the same answer")
    code = {answer: place for place, answer in enumerate(answers)}
    gold_labels = np.array(
        [code.get(gold[task], -1) if task in gold else -1 for task in encoded.tasks]  # type: ignore[index]
    )
    on_gold = gold_labels[encoded.votes.tasks] >= 0
    shared = np.bincount(encoded.votes.tasks)[encoded.votes.tasks] > 1
    unusable_gold = np.array([task in gold for task in encoded.tasks])[encoded.votes.tasks] & ~on_gold
    compared = encoded.votes.select((shared | on_gold) & ~unusable_gold)
    people = len(np.unique(compared.people))
    enough_gold = int(on_gold.sum()) >= _MIN_VOTES_PER_PERSON * people > 0  # then even one person can be judged
    if len(compared) < _MIN_VOTES_PER_PERSON * people or (people < _MIN_PEOPLE and not enough_gold):
        reason = f"{len(compared)} votes of {people} people on shared tasks are too few to learn error rates"
        return AggregatedLabels(reason=reason)
    try:
        fit, rates_fit, reason = _fit(by, compared, gold_labels if enough_gold else None)
    except (VotesError, UnknownName) as error:
        return AggregatedLabels(reason=str(error))
    if by == "auto" and fit.method == "majority":
        return AggregatedLabels(reason=reason)
    enough_votes = np.bincount(compared.labels, minlength=compared.n_labels) >= _MIN_VOTES_PER_PERSON
    return _label_tasks(encoded, fit, rates_fit, reason, enough_votes=enough_votes, exclude=gold.keys())


def _encode(votes: Sequence[VoteLike]) -> EncodedVotes:
    return encode_votes([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])


def _answers(encoded: EncodedVotes) -> list[Answer]:
    answers: list[Answer] = list(encoded.labels)  # type: ignore[arg-type]
    return answers


def _fit(by: str, votes: Votes, gold: Ints | None) -> tuple[Consensus, Consensus, str]:
    """Return the consensus, a fit with error rates, and the reason; with `gold`, error rates are learnt on it."""
    if by == "auto" and gold is not None:
        fit = hierarchical_dawid_skene(votes, gold=gold, start=_start_from_gold(votes, gold))
        return fit, fit, f"{int((gold >= 0).sum())} gold tasks show the error rates of people"
    if by == "auto":
        selection = select_method(votes)
        return selection.consensus, selection.fits.get("hierarchical", selection.consensus), selection.reason
    fit = load_method(by)(votes)
    return fit, hierarchical_dawid_skene(votes) if fit.errors is None else fit, f"the policy sets the method to {by}"


def _start_from_gold(votes: Votes, gold: Ints) -> Floats:
    """Return start probabilities (n_tasks, k): shares of votes, each weighed by its person's accuracy on gold.

    From plain shares, two careless people who agree would be believed until the end.
    """
    truth = gold[votes.tasks]
    right = np.bincount(votes.people, weights=(truth == votes.labels) & (truth >= 0), minlength=votes.n_people)
    n_gold = np.bincount(votes.people, weights=truth >= 0, minlength=votes.n_people)
    accuracy = ((right + 1.0) / (n_gold + 2.0))[votes.people]
    k = votes.n_labels
    log = np.zeros((votes.n_tasks, k))
    np.add.at(log, (votes.tasks, votes.labels), np.log(accuracy * (k - 1) / (1.0 - accuracy)))
    rows = np.exp(log - log.max(axis=1, keepdims=True))
    shares: Floats = rows / rows.sum(axis=1, keepdims=True)
    return shares


def _label_tasks(
    encoded: EncodedVotes,
    fit: Consensus,
    rates_fit: Consensus,
    reason: str,
    *,
    enough_votes: Bools,
    exclude: Collection[int],
) -> AggregatedLabels:
    """Pick the likeliest given answer of each task; `enough_votes` (k,) marks labels whose error rates are known."""
    votes = encoded.votes
    errors, prior, mean_errors = _rates(rates_fit, votes.n_people, votes.n_labels)
    rows = fit.proba.copy()
    single = np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] == 1
    posterior = prior * errors[votes.people[single], :, votes.labels[single]]
    rows[votes.tasks[single]] = posterior / np.maximum(posterior.sum(axis=1, keepdims=True), _EPS)
    given = np.zeros(rows.shape, dtype=bool)
    given[votes.tasks, votes.labels] = True
    best = np.where(given, rows, -1.0).argmax(axis=1)  # an answer that nobody gave is never the label
    confidence = rows[np.arange(len(rows)), best]
    doubted = (rows.max(axis=1) > confidence) & enough_votes[best]
    k = rows.shape[1]
    # rounded, so that one more vote does not change the weights of all rows
    weight = np.clip(np.round((k * confidence - 1.0) / (k - 1), 1), 0.05, 1.0)
    answers = _answers(encoded)
    tasks: list[int] = list(encoded.tasks)  # type: ignore[arg-type]
    columns = list(zip(best.tolist(), confidence.tolist(), weight.tolist(), doubted.tolist(), strict=True))
    # few people give few patterns of votes: most tasks share their label with others
    labels = {
        row: AggregatedLabel(answers[row[0]], round(row[1], 4), round(row[2], 2), doubted=row[3])
        for row in dict.fromkeys(columns)
    }
    by_task = {task: labels[row] for task, row in zip(tasks, columns, strict=True) if task not in exclude}
    gains, leads = expected_gain(rows, mean_errors, None), expected_gain(rows, mean_errors, prior)
    return AggregatedLabels(
        by_task,
        fit.method,
        reason,
        {task: gain for task, gain in zip(tasks, gains.tolist(), strict=True) if task in by_task},
        {task: lead for task, lead in zip(tasks, leads.tolist(), strict=True) if task in by_task},
        tuple(answers),
        {task: row for task, row in zip(tasks, rows, strict=True) if task in by_task},
    )


def _rates(fit: Consensus, n_people: int, n_labels: int) -> tuple[Floats, Floats, Floats]:
    """Return error rates of all people (n_people, k, k), label shares (k,), and mean error rates (k, k).

    People without error rates of their own get the mean ones.
    """
    errors = np.zeros((n_people, n_labels, n_labels))
    learnt = fit.errors if fit.errors is not None else errors[:0]
    errors[: len(learnt)] = learnt
    has_rates = errors.sum(axis=(1, 2)) > 0
    mean_errors = errors[has_rates].mean(axis=0)
    errors[~has_rates] = mean_errors
    prior = fit.prior if fit.prior is not None else fit.proba.mean(axis=0)
    return errors, prior, mean_errors


class AggregationCache:
    """The aggregated labels of each project, computed again only when its votes, gold or method changed."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, AggregatedLabels]] = {}

    def of(
        self, project: str, votes: Iterable[VoteLike], *, by: str, gold: Mapping[int, Answer] | None = None
    ) -> AggregatedLabels:
        """Return `aggregate(votes, by=by, gold=gold)`, from the cache where nothing changed."""
        encoded, truth = _encode(list(votes)), sorted((task, answer.key) for task, answer in (gold or {}).items())
        names = (by, encoded.tasks, encoded.people, [answer.key for answer in _answers(encoded)], truth)
        digest = hashlib.blake2b(repr(names).encode())
        for column in (encoded.votes.tasks, encoded.votes.people, encoded.votes.labels):
            digest.update(column.tobytes())
        entry = self._entries.get(project)
        if entry is None or entry[0] != digest.hexdigest():
            entry = self._entries[project] = (digest.hexdigest(), _aggregate(encoded, by, gold or {}))
            _LOG.info("project %s: consensus by %s: %s", project, entry[1].method, entry[1].reason)
        return entry[1]
