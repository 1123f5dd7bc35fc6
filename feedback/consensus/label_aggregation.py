"""Aggregation of the votes on each task into one label, weighed by how reliable people are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feedback.consensus import Consensus, hierarchical_dawid_skene, load_method, select_method
from feedback.consensus.consensus import AggregatedLabel, AggregatedLabels
from feedback.consensus.distance_aggregation import aggregate_by_distance
from feedback.consensus.method_selection import METHODS
from feedback.consensus.sparse_votes import LabelSums, TaskGroups
from feedback.errors import VotesError
from feedback.votes import LABEL_KINDS, Floats, Ints, VoteColumns, VoteLike, Votes
from ml_backend.errors import UnknownName
from ml_backend.left_out import describe_error
from ml_backend.records import Answer

_MAX_LABELS = 200  # error rates grow with its square
_MIN_PEOPLE = 3  # with two people who differ, one cannot see who is wrong
_MIN_VOTES_PER_PERSON = 5.0  # on shared tasks; with fewer, error rates cannot be separated from chance
_EPS = 1e-10
_NO_GOLD, _UNUSABLE = -1, -2  # in place of a gold label; unusable is one that nobody gave


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
    return aggregate_columns(VoteColumns.build(votes), by=by, gold=gold or {})


def aggregate_columns(columns: VoteColumns, *, by: str, gold: Mapping[int, Answer]) -> AggregatedLabels:
    """Return what `aggregate` returns for these votes."""
    try:
        return _aggregate_columns(columns, by=by, gold=gold)
    except Exception as error:  # noqa: BLE001 - the majority needs no model of people, and decides
        return AggregatedLabels(reason=f"error rates cannot be learnt: {describe_error(error)}")


def _aggregate_columns(columns: VoteColumns, *, by: str, gold: Mapping[int, Answer]) -> AggregatedLabels:
    encoded = columns.encode()
    answers: list[Answer] = list(encoded.labels)  # type: ignore[arg-type]
    if by == "majority" or not answers:
        return AggregatedLabels()
    if answers[0].kind not in LABEL_KINDS:
        return aggregate_by_distance(encoded, gold)
    if len(answers) > _MAX_LABELS:
        return AggregatedLabels(reason=f"{len(answers)} different answers are too many to learn error rates")
    if len(answers) < 2:
        return AggregatedLabels(reason="everybody gives the same answer")
    tasks = np.array(encoded.tasks, dtype=np.int64)
    crowd = _Crowd.build(encoded.votes, _gold_codes(tasks, answers, gold))
    if crowd.too_few:
        return AggregatedLabels(reason=crowd.too_few)
    try:
        fit, rates_fit, reason = _fit(by, crowd)
    except (VotesError, UnknownName) as error:
        return AggregatedLabels(reason=str(error))
    if by == "auto" and fit.method == "majority":
        return AggregatedLabels(reason=reason)
    groups, labels = crowd.groups.of_task, _label_groups(answers, crowd, fit, rates_fit)
    no_gold = crowd.gold[groups] == _NO_GOLD
    return AggregatedLabels(fit.method, reason, tuple(answers), tuple(labels), tasks[no_gold], groups[no_gold])


@dataclass(frozen=True, slots=True, eq=False)
class _Crowd:
    """The votes by groups of equal tasks, and those of them from which error rates are learnt."""

    votes: Votes  # of each task
    groups: TaskGroups
    gold: Ints  # (n_groups,) code of the gold answer; _NO_GOLD and _UNUSABLE where there is none
    compared: Votes  # of each group: on tasks that several people answered, and on gold tasks
    enough_gold: bool  # to learn error rates on it; then even one person can be judged
    too_few: str  # why error rates cannot be learnt; "" where they can

    @staticmethod
    def build(votes: Votes, gold: Ints) -> _Crowd:
        groups = TaskGroups.build(votes, gold[votes.tasks] - _UNUSABLE)
        rows, times, gold = groups.votes.tasks, groups.votes.weights, gold[groups.first]
        on_gold, shared = gold[rows] >= 0, np.bincount(rows)[rows] > 1
        usable = (shared | on_gold) & (gold[rows] != _UNUSABLE)
        compared, n_compared = groups.votes.select(usable), int(times[usable].sum())
        people = len(np.unique(compared.people))
        enough_gold = int(times[on_gold].sum()) >= _MIN_VOTES_PER_PERSON * people > 0
        too_few = ""
        if n_compared < _MIN_VOTES_PER_PERSON * people or (people < _MIN_PEOPLE and not enough_gold):
            too_few = f"{n_compared} votes of {people} people on shared tasks are too few to learn error rates"
        return _Crowd(votes, groups, gold, compared, enough_gold, too_few)


def _gold_codes(tasks: Ints, answers: Sequence[Answer], gold: Mapping[int, Answer]) -> Ints:
    """Return the code of each task's gold answer, (n_tasks,); _NO_GOLD and _UNUSABLE where there is none."""
    code, truth = {answer: place for place, answer in enumerate(answers)}, np.full(len(tasks), _NO_GOLD)
    for at in np.flatnonzero(np.isin(tasks, np.array([*gold], dtype=np.int64))):
        truth[at] = code.get(gold[int(tasks[at])], _UNUSABLE)
    return truth


def _fit(by: str, crowd: _Crowd) -> tuple[Consensus, Consensus, str]:
    """Return the consensus of each group, a fit with error rates, and the reason."""
    groups, gold = crowd.groups, crowd.gold
    if by == "auto" and crowd.enough_gold:
        start = _start_from_gold(crowd.compared, gold)
        fit = hierarchical_dawid_skene(crowd.compared, gold=gold, start=start)
        return fit, fit, f"{int(groups.votes.times[gold >= 0].sum())} gold tasks show the error rates of people"
    if by in METHODS:
        fit = METHODS[by](crowd.compared)
    else:
        is_compared = np.isin(groups.of_task, crowd.compared.tasks)
        each = crowd.votes.select(is_compared[crowd.votes.tasks])
        if by == "auto":
            selection = select_method(each)
            # there is none where error rates need too much memory: fitting it raises the error that says so
            rates_fit = selection.fits.get("hierarchical") or hierarchical_dawid_skene(each)
            return selection.consensus.take(groups.first), rates_fit.take(groups.first), selection.reason
        fit = load_method(by)(each).take(groups.first)
    rates_fit = hierarchical_dawid_skene(crowd.compared) if fit.errors is None else fit
    return fit, rates_fit, f"the policy sets the method to {by}"


def _start_from_gold(votes: Votes, gold: Ints) -> Floats:
    """Return start probabilities (n_tasks, k): shares of votes, each weighed by its person's accuracy on gold.

    From plain shares, two careless people who agree would be believed until the end.
    """
    truth = gold[votes.tasks]
    on_gold = votes.weights * (truth >= 0)
    right = np.bincount(votes.people, on_gold * (truth == votes.labels), minlength=votes.n_people)
    n_gold = np.bincount(votes.people, on_gold, minlength=votes.n_people)
    accuracy = (right + 1.0) / (n_gold + 2.0)
    log = LabelSums(votes).by_label(np.log(accuracy * (votes.n_labels - 1) / (1.0 - accuracy)))
    rows = np.exp(log - log.max(axis=1, keepdims=True))
    shares: Floats = rows / rows.sum(axis=1, keepdims=True)
    return shares


def _label_groups(
    answers: Sequence[Answer], crowd: _Crowd, fit: Consensus, rates_fit: Consensus
) -> list[AggregatedLabel]:
    """Pick the likeliest given answer of each group of tasks."""
    votes = crowd.groups.votes
    n_compared = np.bincount(crowd.compared.labels, crowd.compared.weights, minlength=votes.n_labels)
    enough_votes = n_compared >= _MIN_VOTES_PER_PERSON  # the errors of the other labels are not known
    errors, prior, mean_errors = _rates(rates_fit, votes)
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
    gains = expected_information(rows, mean_errors) - information(rows)
    leads = gains - expected_information(prior[None, :], mean_errors)
    columns = (best.tolist(), confidence.tolist(), weight.tolist(), doubted.tolist(), gains.tolist(), leads.tolist())
    return [
        AggregatedLabel(answers[label], round(sure, 4), round(heavy, 2), doubted=doubt, gain=gain, lead=lead, proba=row)
        for label, sure, heavy, doubt, gain, lead, row in zip(*columns, rows, strict=True)
    ]


def _rates(fit: Consensus, votes: Votes) -> tuple[Floats, Floats, Floats]:
    """Return error rates of all people (n_people, k, k), label shares (k,), and mean error rates (k, k).

    People without error rates of their own get the mean ones.
    """
    errors = np.zeros((votes.n_people, votes.n_labels, votes.n_labels))
    if fit.errors is not None:
        errors[: len(fit.errors)] = fit.errors
    has_rates = errors.sum(axis=(1, 2)) > 0
    mean_errors = errors[has_rates].mean(axis=0)
    errors[~has_rates] = mean_errors
    prior = fit.prior if fit.prior is not None else np.average(fit.proba, axis=0, weights=votes.times)
    return errors, prior, mean_errors


def information(proba: Floats) -> Floats:
    """Return how informative rows of probabilities (n, k) are, (n,) in [0, 1]: 0 is a guess, 1 is certain.

    It is the square of the lead of the likeliest label over chance. For training, a label with information 0.5 is
    worth half a certain label (for two labels it is the Fisher information under symmetric noise).

    >>> information(np.array([[0.5, 0.5], [1.0, 0.0], [0.9, 0.1]])).round(2)
    array([0.  , 1.  , 0.64])
    """
    k = max(proba.shape[1], 2)
    lead: Floats = np.maximum(k * proba.max(axis=1) - 1.0, 0.0) / (k - 1)
    return lead**2


def expected_information(proba: Floats, errors: Floats) -> Floats:
    """Return the expected information after one more vote, (n,): the mean over the labels that the vote may give.

    `errors` (k true, k given) are the error rates of the next person.

    >>> errors = np.array([[0.8, 0.2], [0.2, 0.8]])
    >>> expected_information(np.array([[0.5, 0.5], [1.0, 0.0]]), errors).round(2)
    array([0.36, 1.  ])
    """
    expected = np.zeros(len(proba))
    for label in range(errors.shape[1]):
        joint = proba * errors[:, label]
        chance = joint.sum(axis=1)
        posterior = joint / np.maximum(chance, 1e-12)[:, None]
        expected += chance * information(posterior)
    return expected
