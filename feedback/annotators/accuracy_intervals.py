"""Intervals of how often people are right, from their votes alone: everything that the votes allow.

The labels, the share of each label, and the errors of all people are unknown together, so an interval holds whatever
they are: it is a profile likelihood interval of the model of Dawid and Skene.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components
from scipy.special import chdtri, gammaincinv

from feedback.consensus.dawid_skene_profile import ProfileFits, fit_modes, fits_by_share
from feedback.consensus.sparse_votes import TaskGroups
from feedback.errors import VotesError
from feedback.stats.intervals import Bools
from feedback.votes import Floats, Votes
from ml_backend.number_format import format_count

_MIN_PEOPLE = 3  # of two people who differ, nobody can know who is right
_MAX_LABELS = 30  # error rates grow with its square
_MAX_CELLS = 250_000  # different tasks times labels times labels; of more tasks some are drawn
_LEVEL = 0.025  # of one interval; its nominal 0.05 would be missed near 0 and 1, where likelihood ratios are discrete
FAMILY_LEVEL = 0.025  # of all intervals together: half of 0.05, because gold and other people make two families
_FLAT = 0.1  # likelihood ratio to the best value, up to which values are equally good
_MAX_SHOWN_WIDTH = 0.3  # a wider interval shows no value: the votes cannot tell
_NEAR_BOUND = 2.5  # wrong votes; with fewer, a rate may be at its bound
_MAX_BOUNDS = 2  # of the errors on one true label: of many that are never made, few matter at a time
_PATH = np.linspace(0.0, 1.0, 15) ** 3  # from the best value to 0 or 1, in small steps first
_MAX_INFORMATION = 1_000  # people times labels, up to which the information that others' errors take away is known
_MIN_RATE = 1e-12
_MIN_SHARE = 1e-3  # of information that remains
_PRIOR_INFORMATION = 0.05  # votes, so that the information of somebody without a vote on a label is defined


@dataclass(frozen=True, slots=True, eq=False)
class AccuracyIntervals:
    """Bounds for all people: columns 0 to k-1 are the accuracy on tasks with that true label, column k on all tasks."""

    value: Floats  # (n_people, k + 1) NaN where the interval is too wide to tell
    low: Floats
    high: Floats
    family_low: Floats  # all bounds of the family hold together with probability 0.95
    family_high: Floats
    compared: Bools  # (n_people,) False for people who share no task with two others, directly or through other people
    converged: bool  # False where even thousands of rounds did not find the best fit


def accuracy_intervals(votes: Votes) -> AccuracyIntervals:
    r"""Compute the interval of each person's accuracy, on each true label and on all tasks.

    Three things are unknown and belong into an interval: the share of each label, the errors of the others, and a
    person's own. For each share of a label, the model is fitted again; the likelihood ratio of an accuracy :math:`x` is

    .. math:: \min_s \; R(s) + f_s R_s(x)

    where :math:`R(s)` compares the fit at share :math:`s` with the best one, :math:`R_s(x)` compares the votes of this
    person at :math:`x` with their votes at the fit, and :math:`f_s` is the share of information about :math:`x` that
    remains as the others' errors are estimated too. :math:`R(s)` is measured by its own 95 % quantile: near the bounds
    0 and 1 of the rates of m people it is about that of :math:`\chi^2_1` and m halves of :math:`\chi^2_1`.

    VotesError for more than 30 labels. More tasks than fit are drawn at random, always the same ones.

    Dawid and Skene (1979), doi:10.2307/2346806; likelihood ratios at bounds: Self and Liang (1987),
    doi:10.1080/01621459.1987.10478472.

    >>> rng = np.random.default_rng(0)
    >>> truth, wrong = rng.integers(0, 2, 400), rng.random((400, 3)) < [0.05, 0.05, 0.4]
    >>> labels = np.where(wrong, 1 - truth[:, None], truth[:, None])
    >>> found = accuracy_intervals(Votes(np.repeat(np.arange(400), 3), np.tile([0, 1, 2], 400), labels.ravel()))
    >>> bool(found.high[2, 2] < found.low[:2, 2].min())
    True
    """
    k = votes.n_labels
    if k > _MAX_LABELS:
        raise VotesError(
            f"{format_count(k)} different answers are too many to compare people with each other; "
            f"wanted {_MAX_LABELS} or fewer.",
            hint="Gold tasks compare people on any number of labels.",
        )
    compared = _compared_people(votes)
    shared = np.bincount(votes.tasks, minlength=votes.n_tasks)[votes.tasks] > 1
    usable = _draw_tasks(votes.select(shared & compared[votes.people]))
    shape = (votes.n_people, k + 1)
    bounds = {name: np.zeros(shape) for name in ("flat_low", "low", "family_low")}
    bounds |= {name: np.ones(shape) for name in ("flat_high", "high", "family_high")}
    converged = True
    if len(usable) and k > 1:  # one answer that everybody gives tells nothing
        people, codes = np.unique(usable.people, return_inverse=True)
        named = Votes(usable.tasks, codes, usable.labels, usable.n_tasks, len(people), k, usable.times)
        found, converged = _profile(named)
        for name, table in bounds.items():
            table[people] = found[name]
    value = (bounds.pop("flat_low") + bounds.pop("flat_high")) / 2.0
    value[(bounds["high"] - bounds["low"] > _MAX_SHOWN_WIDTH) | ~compared[:, None]] = np.nan
    return AccuracyIntervals(value, **bounds, compared=compared, converged=converged)


def _compared_people(votes: Votes) -> Bools:
    """Return which people share tasks, directly or through others, with two other people or more, (n_people,)."""
    size = votes.n_tasks + votes.n_people
    ends = votes.tasks, votes.n_tasks + votes.people
    edges = coo_array((np.ones(len(votes)), ends), shape=(size, size))
    _, group = connected_components(edges, directed=False)
    voted = np.bincount(votes.people, minlength=votes.n_people) > 0
    group = group[votes.n_tasks :]
    enough: Bools = voted & (np.bincount(group[voted], minlength=group.max(initial=0) + 1)[group] >= _MIN_PEOPLE)
    return enough


def _draw_tasks(votes: Votes) -> Votes:
    """Return the votes by groups of equal tasks; those of some random tasks where there are too many."""
    most = _MAX_CELLS // max(votes.n_labels, 1) ** 2
    groups = TaskGroups.build(votes).votes
    if len(np.unique(groups.tasks)) > most:
        voted = np.unique(votes.tasks)
        drawn = np.zeros(votes.n_tasks, dtype=bool)
        drawn[np.random.default_rng(0).choice(voted, most, replace=False)] = True
        groups = TaskGroups.build(votes.select(drawn[votes.tasks])).votes
    _, tasks = np.unique(groups.tasks, return_inverse=True)
    times = groups.times[np.unique(groups.tasks)]
    return Votes(tasks, groups.people, groups.labels, len(times), votes.n_people, votes.n_labels, times)


def _profile(votes: Votes) -> tuple[dict[str, Floats], bool]:
    """Return flat, single and family bounds (n_people, k + 1), and whether all fits converged."""
    order = np.argsort(votes.people, kind="stable")
    votes = votes.select(order)
    n_people, k = votes.n_people, votes.n_labels
    cuts = np.array([_FLAT, _chi2(_LEVEL), _chi2(FAMILY_LEVEL / (n_people * (k + 1)))])
    slack = float(cuts[-1]) * 2.0  # of the ratio before it is measured by its own quantile
    modes = fit_modes(votes, slack=slack)
    best, converged = float(modes.log_likelihood.max()), bool(modes.converged.all())
    low, high = np.full((3, n_people, k + 1), np.inf), np.full((3, n_people, k + 1), -np.inf)
    scans = []
    for column in range(len(modes.log_likelihood)):
        mode = modes.take(np.array([column]))
        remaining = _remaining_information(votes, mode)
        labels = range(1 if k == 2 else k)  # the shares of two labels are one figure
        own = [fits_by_share(votes, mode, label, slack=slack, best=best) for label in labels]
        scanned = zip(labels, own, strict=True)
        scans += [((0, 1, 2) if k == 2 else (label, k), fits, own, remaining) for label, fits in scanned]
        converged = converged and all(bool(fits.converged.all()) for fits in own)
    best = max(_best(own) for _, _, own, _ in scans)
    for figures, fits, own, remaining in scans:
        for column in range(len(fits.log_likelihood)):
            # the scans of one mode have the same best fit, but not to the last digit
            ratio = 2.0 * (best - _best(own) + _best([fits]) - float(fits.log_likelihood[column]))
            fit = fits.take(np.array([column]))
            ratio *= _chi2(0.05) / _quantile_near_bounds(votes, fit)
            if ratio > cuts[-1]:
                continue
            for figure, is_high, path, roots in _paths(votes, fit, figures):
                roots = roots * np.sqrt(remaining[:, figure + (figure == k and is_high), None])
                for place in np.flatnonzero(cuts >= ratio):
                    bound = _crossing(path, roots, float(np.sqrt(cuts[place] - ratio)))
                    table, keep = (high, np.maximum) if is_high else (low, np.minimum)
                    table[place, :, figure] = keep(table[place, :, figure], bound)
    names = ("flat", "", "family")
    found = {f"{name}_low".strip("_"): low[place] for place, name in enumerate(names)}
    found |= {f"{name}_high".strip("_"): high[place] for place, name in enumerate(names)}
    return found, converged


def _best(scans: Sequence[ProfileFits]) -> float:
    return max(float(fits.log_likelihood.max()) for fits in scans)


def _chi2(level: float) -> float:
    return float(chdtri(1, level))


def _quantile_near_bounds(votes: Votes, fit: ProfileFits) -> float:
    """Return the 95 % quantile of the likelihood ratio of a share, by the number of rates that may be at a bound."""
    wrong = _true_counts(votes, fit)[:, :, None] * fit.errors[0] * (1.0 - np.eye(votes.n_labels))
    per_row = (wrong < _NEAR_BOUND).sum(axis=2) - 1  # without the right answer, which is 0 here
    n_near = int(np.minimum(per_row, _MAX_BOUNDS).sum())
    # a gamma distribution with the mean and variance of one chi-squared variable and halves of n_near others
    mean, variance = 1.0 + 0.5 * n_near, 2.0 + 1.25 * n_near
    return float(gammaincinv(mean * mean / variance, 0.95)) * variance / mean


def _true_counts(votes: Votes, fit: ProfileFits) -> Floats:
    """Return the expected number of each person's votes on tasks with each true label, (n_people, k)."""
    return _sum_by_person(votes) @ fit.proba[votes.tasks, 0]  # type: ignore[no-any-return]


def _sum_by_person(votes: Votes) -> csr_array:
    """Return the matrix (n_people, n_votes) that adds up rows of votes by person, with the weight of each vote."""
    return coo_array((votes.weights, (votes.people, np.arange(len(votes)))), (votes.n_people, len(votes))).tocsr()


def _paths(votes: Votes, fit: ProfileFits, figures: tuple[int, ...]) -> Iterator[tuple[int, bool, Floats, Floats]]:
    """Yield, for each figure and side, values from the fit to a bound, and the roots of their likelihood ratios.

    Both are (n_people, n_steps). The labels of the others are as they are without this person's vote. Along a path, the
    probability of each vote is linear in the value.
    """
    person, label = votes.people, votes.labels
    errors, right, k = fit.errors[0], fit.accuracies[0], votes.n_labels
    others = fit.proba[votes.tasks, 0] / errors[person, :, label]
    others /= others.sum(axis=1, keepdims=True)
    joint = others * errors[person, :, label]  # (n_votes, k true)
    total, summed = joint.sum(axis=1), _sum_by_person(votes)
    for figure in figures:
        if figure < k:
            given, rest = label == figure, total - joint[:, figure]
            wrong = joint[:, figure] / np.maximum(1.0 - right[person, figure], _MIN_RATE)
            base, slope = rest + np.where(given, 0.0, wrong), np.where(given, others[:, figure], -wrong)
            centre = right[:, figure]
        for is_high in (False, True):
            least: Floats
            if figure < k:
                least = np.zeros(votes.n_people)
            else:
                least, slope = _overall_path(votes, fit, others, joint, is_high=is_high)
                centre = right @ fit.prior[0]
                base = total - slope * centre[person]
            end = np.ones(votes.n_people) if is_high else least
            path = centre[:, None] + (end - centre)[:, None] * _PATH
            chances = base[:, None] + slope[:, None] * path[person]
            logs = summed @ np.log(np.maximum(chances, 1e-300))
            roots = np.sqrt(np.maximum(2.0 * (logs[:, :1] - logs), 0.0))
            if not is_high:  # beyond the path, nothing is known
                path[:, -1] = 0.0
            yield figure, is_high, path, np.maximum.accumulate(roots, axis=1)


def _overall_path(
    votes: Votes, fit: ProfileFits, others: Floats, joint: Floats, *, is_high: bool
) -> tuple[Floats, Floats]:
    """Return the least overall accuracy on the path (n_people,) and the slope of each vote's probability (n_votes,)."""
    right, rows = fit.accuracies[0], np.arange(len(votes))
    change = _directions(right, is_high=is_high)  # of each accuracy
    grows = -change / np.maximum(1.0 - right, _MIN_RATE)  # of a wrong answer's rate, in shares of it
    own, label = votes.people, votes.labels
    wrong = (joint * grows[own]).sum(axis=1) - joint[rows, label] * grows[own, label]
    per_step = change @ fit.prior[0]
    slope = (others[rows, label] * change[own, label] + wrong) / np.where(per_step > 0.0, per_step, 1.0)[own]
    longest = np.where(change > 0.0, right / np.maximum(change, _MIN_RATE), np.inf).min(axis=1)
    least = right @ fit.prior[0] - np.where(np.isfinite(longest), longest, 0.0) * per_step
    return np.maximum(least, 0.0), slope


def _directions(right: Floats, *, is_high: bool) -> Floats:
    """Return how accuracies (n_people, k) change together: upwards all reach 1; downwards those below 0.5 stay."""
    upwards = 1.0 - right
    return upwards if is_high else np.where(right < 0.5, 0.0, upwards * right)


def _crossing(path: Floats, roots: Floats, cut: float) -> Floats:
    """Return the value at which each row's root reaches the cut, (n_people,); the last one where it never does."""
    over = roots > cut
    after = np.where(over.any(axis=1), over.argmax(axis=1), path.shape[1] - 1)
    after = np.maximum(after, 1)
    rows = np.arange(len(path))
    step = roots[rows, after] - roots[rows, after - 1]
    part = np.where(over.any(axis=1), (cut - roots[rows, after - 1]) / np.maximum(step, _MIN_RATE), 1.0)
    low, high = path[rows, after - 1], path[rows, after]
    crossed: Floats = low + np.clip(part, 0.0, 1.0) * (high - low)
    return crossed


def _remaining_information(votes: Votes, fit: ProfileFits) -> Floats:
    """Return the share of information about each figure that remains when all errors are estimated, (n_people, k + 2).

    The last two columns are for all tasks: downwards and upwards.

    From the observed information of all people's accuracies (Louis, 1982, Finding the observed information matrix when
    using the EM algorithm); 1 for more people and labels than fit, each of whom learns little from one other.
    """
    n_people, k = votes.n_people, votes.n_labels
    size, remaining = n_people * k, np.ones((n_people, k + 2))
    if size > _MAX_INFORMATION:
        return remaining
    counts = _true_counts(votes, fit)
    right = (fit.accuracies[0] * counts + 0.5) / (counts + 1.0)  # half a vote more: at 0 and 1 nothing is known
    given = votes.labels[:, None] == np.arange(k)
    score = np.where(given, 1.0 / right[votes.people], -1.0 / (1.0 - right[votes.people]))
    proba, times = fit.proba[votes.tasks, 0], votes.weights[:, None]
    column = votes.people[:, None] * k + np.arange(k)
    row = np.repeat(votes.tasks[:, None], k, axis=1)

    def table(cells: Floats, keep: slice = slice(None)) -> csr_array:
        parts = cells[:, keep].ravel(), (row[:, keep].ravel(), column[:, keep].ravel())
        return coo_array(parts, (votes.n_tasks, size)).tocsr()

    mean_score = table(proba * score * np.sqrt(times))
    information = (mean_score.T @ mean_score).toarray()
    for label in range(k):
        by_label = table(np.sqrt(proba * times) * score, slice(label, label + 1))
        product = (by_label.T @ by_label).toarray()
        np.fill_diagonal(product, 0.0)
        information -= product
    information[np.diag_indices(size)] += (_PRIOR_INFORMATION / (right * (1.0 - right))).ravel()
    scale = 1.0 / np.sqrt(np.diag(information))
    values, vectors = np.linalg.eigh(information * np.outer(scale, scale))
    inverse = (vectors / np.maximum(values, 1e-4)) @ vectors.T * np.outer(scale, scale)
    remaining[:, :k] = 1.0 / (np.diag(information) * np.diag(inverse)).reshape(n_people, k)
    for person in range(n_people):
        own, prior = slice(person * k, (person + 1) * k), fit.prior[0]
        for is_high in (False, True):
            path = _directions(right, is_high=is_high)[person]
            path = path / max(float(prior @ path), _MIN_RATE)
            lost = (prior @ inverse[own, own] @ prior) * (path @ information[own, own] @ path)
            remaining[person, k + is_high] = 1.0 / max(float(lost), 1.0)
    return np.clip(remaining, _MIN_SHARE, 1.0)
