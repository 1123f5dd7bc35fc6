"""Selection of the consensus method: a committee of methods, or the majority vote where votes are sparse."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from feedback.consensus.consensus import Consensus, require_votes
from feedback.consensus.dawid_skene import dawid_skene, error_rates, hierarchical_dawid_skene, one_coin_dawid_skene
from feedback.consensus.majority_vote import majority_vote, weighted_vote
from feedback.consensus.sparse_votes import LabelSums, TaskGroups, VoteMatrix, sum_tasks
from feedback.errors import VotesError
from feedback.stats.intervals import binomial_tail
from feedback.votes import Floats, Ints, Votes
from ml_backend.calibration import Calibrator
from ml_backend.number_format import format_count, format_number

Method = Callable[[Votes], Consensus]

METHODS: Mapping[str, Method] = {
    "majority": majority_vote,
    "dawid_skene": dawid_skene,
    "hierarchical": hierarchical_dawid_skene,
    "one_coin": one_coin_dawid_skene,
    "weighted": weighted_vote,
}
COMMITTEE = ("majority", "hierarchical", "one_coin", "weighted")  # one of each kind: two of a kind would outvote
_MIN_VOTES_PER_PERSON = 5.0  # with fewer, error rates cannot be separated from chance
_MIN_VOTES_PER_TASK = 1.5  # with fewer, there is hardly anybody to compare with
_FOLDS = 5  # of hidden votes
_MAX_VOTES_ALL_FOLDS = 50_000  # with more votes, one fold with some hidden votes compares the methods as well
_MAX_CELLS_ALL_FOLDS = 2_000_000  # tasks times labels
_MAX_HIDDEN_VOTES = 15_000
_POOLING = 4.0  # pooled votes in the error rates that predict hidden votes
_PROVEN_WORSE = -2.0  # standard errors from the majority vote
# people times labels², and tasks times labels: below the first number they take seconds whatever the votes are
_MAX_ERROR_RATES, _MAX_ERROR_RATES_PER_VOTE = 1_000_000, 20  # with more than 20 a vote, hardly any is ever seen
_MAX_CELLS, _MAX_CELLS_PER_VOTE = 5_000_000, 100
_TEMPERATURES = np.array([1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 14.0])  # never below 1: votes on a task are dependent
_MIN_PROBABILITY = 1e-12
_ALPHA = 0.05  # one-sided level at which gold labels prove one method better


_OF_ERROR_RATES = ("dawid_skene", "hierarchical")


@dataclass(frozen=True, slots=True)
class UsableMethods:
    """The methods that can be fitted to some votes; with thousands of labels not all of them."""

    methods: Mapping[str, Method]
    left_out: str = ""  # a sentence, without a full stop, on the others

    @property
    def with_tables(self) -> bool:
        """Return whether a table of tasks and labels may be filled; the majority vote alone needs none."""
        return len(self.methods) > 1


@dataclass(frozen=True, slots=True)
class MethodSelection:
    """The selected consensus, the reason, and the fits it was selected from."""

    consensus: Consensus
    reason: str
    fits: Mapping[str, Consensus]  # by name of the method, each fitted on all votes


@dataclass(frozen=True, slots=True)
class HiddenVoteScore:
    """How well one method predicts hidden votes."""

    margin: float  # log-likelihood minus that of the majority vote, in standard errors
    temperature: float  # the temperature at which its probabilities predict hidden votes best


def list_usable_methods(votes: Votes) -> UsableMethods:
    """Return the methods whose tables fit these votes: error rates grow with labels², all other tables with labels.

    >>> many = Votes(np.repeat(np.arange(2_000), 3), np.tile([0, 1, 2], 2_000), np.repeat(np.arange(2_000), 3))
    >>> print(list_usable_methods(many).left_out)
    dawid_skene and hierarchical are left out: 12,000,000 error rates of 3 people are too many for 6,000 votes
    """
    n, k = float(votes.weights.sum()), votes.n_labels
    if np.count_nonzero(np.bincount(votes.tasks)) * k > max(_MAX_CELLS, _MAX_CELLS_PER_VOTE * n):
        why = f"{format_count(k)} different labels are too many for the other methods of consensus"
        return UsableMethods({"majority": majority_vote}, f"only the majority vote is computed: {why}")
    people = np.count_nonzero(np.bincount(votes.people))
    if (rates := people * k**2) > max(_MAX_ERROR_RATES, _MAX_ERROR_RATES_PER_VOTE * n):
        of = f"{format_count(rates)} error rates of {format_count(people)} people"
        why = f"{of} are too many for {format_count(n)} votes"
        usable = {name: method for name, method in METHODS.items() if name not in _OF_ERROR_RATES}
        return UsableMethods(usable, f"{' and '.join(_OF_ERROR_RATES)} are left out: {why}")
    return UsableMethods(METHODS)


def select_method(votes: Votes) -> MethodSelection:
    """Select the consensus for these votes; the policy's method "auto". VotesError where there are no votes.

    - Sparse votes (fewer than 1.5 per task or 5 per person): the majority vote.
    - So many labels that no other method is usable (`list_usable_methods`): the majority vote.
    - Else a committee: the mean of the probabilities of majority vote, hierarchical Dawid-Skene, one-coin Dawid-Skene
      and weighted vote, without those that predict hidden votes worse than the majority vote does (proven). One
      winner by likelihood would be wrong more often, because a model may explain votes well and the truth badly.

    Where gold labels are known, `prefer_proven_on_gold` may replace the committee.

    >>> rng = np.random.default_rng(1)
    >>> truth, wrong = rng.integers(0, 2, 60), rng.random((60, 6)) < [0.05, 0.1, 0.1, 0.4, 0.4, 0.45]
    >>> labels = np.where(wrong, 1 - truth[:, None], truth[:, None])
    >>> selection = select_method(Votes(np.repeat(np.arange(60), 6), np.tile(np.arange(6), 60), labels.ravel()))
    >>> selection.consensus.method, int((selection.consensus.labels == truth).sum())
    ('committee', 59)
    """
    require_votes(votes)
    per_task = len(votes) / np.count_nonzero(np.bincount(votes.tasks))
    per_person = len(votes) / np.count_nonzero(np.bincount(votes.people))
    if per_task < _MIN_VOTES_PER_TASK or per_person < _MIN_VOTES_PER_PERSON:
        votes_each = f"{format_number(per_task)} votes a task and {format_number(per_person)} a person"
        reason = f"{votes_each} are too few to learn error rates"
        return select_majority(votes, reason)
    usable = list_usable_methods(votes)
    if not usable.with_tables:
        return select_majority(votes, usable.left_out)
    scores = score_on_hidden_votes(votes, usable=usable)
    groups = TaskGroups.build(votes)
    tried = {name: fit_or_none(method, groups.votes) for name, method in usable.methods.items()}
    fits = {name: fit for name, fit in tried.items() if fit is not None}
    members = [name for name in COMMITTEE if name in fits and scores[name].margin > _PROVEN_WORSE]
    rows = [_apply_temperature(fits[name].proba, scores[name].temperature) for name in members]
    committee = Consensus.build("committee", groups.votes, np.mean(rows, axis=0))
    reason = "mean of " + ", ".join(members)
    if dropped := [name for name in scores if name not in members]:
        reason += f"; {', '.join(dropped)} predict hidden votes worse than the majority"
    fits = {name: fit.take(groups.of_task) for name, fit in fits.items()}
    return MethodSelection(committee.take(groups.of_task), reason, fits)


def select_majority(votes: Votes, reason: str) -> MethodSelection:
    """Return the majority vote as the selection."""
    majority = majority_vote(votes)
    return MethodSelection(majority, reason, {"majority": majority})


def score_on_hidden_votes(votes: Votes, *, usable: UsableMethods | None = None) -> dict[str, HiddenVoteScore]:
    """Score how well each usable member of the committee predicts hidden votes.

    Each fifth of the votes is hidden in turn; with more than 50,000 votes, or very many labels, only some, once. A
    hidden vote is predicted from the consensus of the other votes on its task, and from the error rates of its person
    against that consensus; from one accuracy per person where error rates are too many to be learnt. Votes are hidden
    in the order of task and person, so the order of the rows changes nothing.
    """
    votes = votes.in_order()
    rng = np.random.default_rng(0)
    methods = (usable or list_usable_methods(votes)).methods
    all_folds = len(votes) <= _MAX_VOTES_ALL_FOLDS and votes.n_tasks * votes.n_labels <= _MAX_CELLS_ALL_FOLDS
    folds, share = (_FOLDS, 1.0 / _FOLDS) if all_folds else (1, min(1.0 / _FOLDS, _MAX_HIDDEN_VOTES / len(votes)))
    fold = np.floor(rng.random(len(votes)) / share).astype(np.int64)
    groups = TaskGroups.build(votes, np.minimum(fold, folds))  # equal votes of which the same ones are hidden
    base = np.zeros(groups.votes.n_tasks)
    logs = {name: np.zeros((len(_TEMPERATURES), len(base))) for name in COMMITTEE[1:] if name in methods}
    with_rates = _OF_ERROR_RATES[0] in methods
    for number in range(folds):
        seen, hidden = groups.votes.select(groups.marks != number), groups.votes.select(groups.marks == number)
        if not len(seen):
            continue
        has_votes = np.bincount(seen.tasks, minlength=seen.n_tasks) > 0
        hidden = hidden.select(has_votes[hidden.tasks])
        predict = _predictor(seen, hidden, with_rates=with_rates)
        base += predict(majority_vote(seen).proba)
        for name, table in logs.items():
            fit = fit_or_none(METHODS[name], seen)
            for row, temperature in enumerate(_TEMPERATURES):
                table[row] += -np.inf if fit is None else predict(_apply_temperature(fit.proba, temperature))
    scores = {name: _score(table - base, groups.votes.times) for name, table in logs.items()}
    return {COMMITTEE[0]: HiddenVoteScore(0.0, 1.0)} | scores


def _score(gains: Floats, times: Floats) -> HiddenVoteScore:
    """Return the best temperature and its margin, from gains (temperatures, n_groups); tasks are independent."""
    best = int(np.argmax([sum_tasks(row, times) for row in gains]))
    by_task = gains[best]
    if not np.isfinite(by_task).all():
        return HiddenVoteScore(-np.inf, float(_TEMPERATURES[best]))
    se = np.sqrt(sum_tasks(by_task**2, times))
    return HiddenVoteScore(sum_tasks(by_task, times) / max(se, 1e-12), float(_TEMPERATURES[best]))


def _apply_temperature(proba: Floats, temperature: float) -> Floats:
    """Raise probabilities to the power 1 / temperature and normalise the rows."""
    if temperature == 1.0:
        return proba
    # a probability of exactly 0 would stay 0 at every temperature
    return Calibrator("temperature", temperature).apply(np.maximum(proba, _MIN_PROBABILITY))


def _predictor(seen: Votes, hidden: Votes, *, with_rates: bool) -> Callable[[Floats], Floats]:
    """Return a function from a consensus (n_tasks, k) to the log-probability of the hidden votes, (n_tasks,).

    The model of people is the same for every consensus.
    """
    if with_rates:
        matrix = VoteMatrix.build(seen)

        def chance_of_hidden(proba: Floats) -> Floats:
            rates = error_rates(matrix.expected_counts(proba), _POOLING)
            found: Floats = np.einsum("vk,vk->v", proba[hidden.tasks], rates[hidden.people, hidden.labels])
            return found
    else:
        n_votes = np.bincount(seen.people, seen.weights, minlength=seen.n_people)

        def chance_of_hidden(proba: Floats) -> Floats:
            right = LabelSums(seen).by_person(proba)
            skill = ((right + _POOLING * right.sum() / seen.weights.sum()) / (n_votes + _POOLING))[hidden.people]
            likely = proba[hidden.tasks, hidden.labels]
            found: Floats = skill * likely + (1 - skill) * (1 - likely) / max(seen.n_labels - 1, 1)
            return found

    def log_likelihood(proba: Floats) -> Floats:
        logs = np.log(np.maximum(chance_of_hidden(proba), 1e-6))  # one impossible vote must not decide alone
        return np.bincount(hidden.tasks, logs, minlength=hidden.n_tasks).astype(np.float64)

    return log_likelihood


def prefer_proven_on_gold(selection: MethodSelection, gold: Ints) -> MethodSelection:
    """Return the selection, or the single method that gold labels prove better.

    The exact sign test is at level 0.05, divided by the number of methods. `gold` (n_tasks,) is -1 where unknown.
    """
    rows = np.flatnonzero(gold >= 0)
    if not len(rows) or not selection.fits:
        return selection
    right = {name: fit.labels[rows] == gold[rows] for name, fit in selection.fits.items()}
    current = selection.consensus.labels[rows] == gold[rows]
    best = max(right, key=lambda name: int(right[name].sum()))
    wins, losses = int((right[best] & ~current).sum()), int((current & ~right[best]).sum())
    if wins <= losses or binomial_tail(wins, wins + losses, 0.5) > _ALPHA / len(right):
        return selection
    reason = (
        f"{best} is right on {wins} gold answers where the others are wrong, and wrong on {losses}: {selection.reason}"
    )
    return MethodSelection(selection.fits[best], reason, selection.fits)


def fit_or_none(method: Method, votes: Votes) -> Consensus | None:
    """Return the fit of a method; None where it refuses these votes as too large."""
    try:
        return method(votes)
    except VotesError:
        return None
