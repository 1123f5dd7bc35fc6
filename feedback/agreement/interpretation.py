"""What agreement means, in sentences; by label, the labels confused most and the tasks to open."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array, triu

from feedback.agreement.chance_corrected import fleiss_kappa, gwet_ac1, percent_agreement
from feedback.agreement.coefficient import Coefficient
from feedback.agreement.krippendorff_alpha import krippendorff_alpha
from feedback.agreement.vote_patterns import count_patterns
from feedback.votes import Floats, Ints, Votes
from ml_backend.number_format import format_coefficient, format_count, format_estimate, format_percent

UNCLEAR = 0.6  # below it the task definition is unclear
_MIN_ITEMS = 30  # nothing is concluded from fewer
_MIN_RARE = 10  # items with another label than the most frequent one; with fewer, chance decides the coefficient
_PARADOX_GAP = 0.3  # AC1 this far above the coefficient: one label is nearly always right
_MIN_GAP = 0.005  # a coefficient nearer to the limit needs more items than anybody has


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What an agreement coefficient means."""

    text: str  # sentences for people to read
    clear: bool | None  # whether the task definition is clear; None: these items cannot tell
    confused: tuple[Hashable, Hashable, float] | None  # two labels and their share of all disagreement
    open_first: tuple[int, ...]  # codes of the tasks with most disagreement


def interpret_agreement(
    votes: Votes, labels: Sequence[Hashable], *, coefficient: Coefficient | None = None, drawn: bool = True
) -> Interpretation:
    """Explain the agreement of votes: whether the task is clear, which labels are confused, which tasks to open.

    A task definition counts as unclear where the whole interval is below 0.6, and as clear where none of it is.
    Krippendorff (2004, doi:10.1111/j.1468-2958.2004.tb00738.x) draws no conclusions below .667. A low kappa with a high
    AC1 is explained by one frequent label, not by an unclear task.

    Parameters
    ----------
    labels
        The names of the label codes, length k.
    coefficient
        The coefficient to explain; Krippendorff's nominal alpha by default.
    drawn
        Whether the tasks were drawn at random. Where they were chosen because they are hard, the coefficient is shown
        and nothing is concluded.

    Examples
    --------
    >>> votes = Votes(np.repeat(np.arange(60), 2), np.tile([0, 1], 60), np.tile([0, 0, 1, 1, 0, 1], 20))
    >>> interpret_agreement(votes, ["hate", "offensive"]).text.partition(". ")[0]
    'alpha 0.34 [0.06, 0.58] on 60 items: below 0.6, the task definition is unclear'
    """
    coefficient = krippendorff_alpha(votes) if coefficient is None else coefficient
    pair = _most_confused(votes, labels)
    clear, text = judge_coefficient(coefficient, drawn=drawn, rare=_rare_items(votes, labels))
    if clear is False and (paradox := _paradox(votes, labels, coefficient)):
        clear, text = None, f"{coefficient}: low, and yet people agree. {paradox}"
    if pair and coefficient.value < 1.0:
        text += f" Most confused: {pair[0]} ↔ {pair[1]} ({format_percent(pair[2])} of all disagreement)."
    return Interpretation(text, clear, pair, tuple(most_disputed(votes).tolist()))


def judge_coefficient(
    coefficient: Coefficient, *, drawn: bool = True, rare: tuple[str, int] | None = None
) -> tuple[bool | None, str]:
    """Return whether the task definition is clear, None where the interval leaves it open, and sentences that say so.

    Where it is open, the sentences say how many more items would tell. `rare` names what few items have, for example a
    label, and how many items have it. Nothing is concluded from fewer than 30 items.
    """
    if math.isnan(coefficient.value):
        return None, f"{coefficient}."
    if not drawn:
        return None, f"{coefficient}: not judged, because none of these items was drawn at random for several people."
    enough = coefficient.items >= _MIN_ITEMS
    if enough and coefficient.high < UNCLEAR:
        return False, f"{coefficient}: below {UNCLEAR}, the task definition is unclear."
    if enough and coefficient.low >= UNCLEAR:
        return True, f"{coefficient}: people understand the task alike."
    if rare and rare[1] < _MIN_RARE:
        why = f"too few items with {rare[0]} to judge ({rare[1]})"
    else:
        why = f"{UNCLEAR} is within the interval, so it is not known yet" if enough else "too few items to judge"
    return None, f"{coefficient}: {why}. {_items_wanted(coefficient, rare)}"


def _items_wanted(coefficient: Coefficient, rare: tuple[str, int] | None) -> str:
    """Return a sentence on how many more items would put the interval on one side of the limit."""
    n, gap = coefficient.items, abs(coefficient.value - UNCLEAR)
    few = rare is not None and rare[1] < _MIN_RARE
    if rare and few:  # the value itself is chance, so that it foretells nothing
        wanted = max(n * _MIN_RARE / max(rare[1], 1), float(_MIN_ITEMS))
    elif gap < _MIN_GAP:
        return f"It is so near to {UNCLEAR} that more items would hardly tell."
    else:  # an interval narrows with the root of the number of items
        above = coefficient.value > UNCLEAR
        reach = coefficient.value - coefficient.low if above else coefficient.high - coefficient.value
        wanted = max(n * (reach / gap) ** 2, float(_MIN_ITEMS))
    among = f", among them about {_rounded((wanted - n) * rare[1] / n)} with {rare[0]}" if rare and rare[1] else ""
    return f"{'At least' if few else 'About'} {_rounded(wanted - n)} more randomly drawn items are needed{among}."


def _rounded(items: float) -> str:
    """Return a number of items, at least 1, with two digits that count."""
    return format_count(max(1, int(float(f"{items:.2g}"))))


def _rare_items(votes: Votes, labels: Sequence[Hashable]) -> tuple[str, int] | None:
    """Return what few items have, and how many; None where most items have something else than one label."""
    table = count_patterns(votes).paired()
    given = table.times @ table.counts
    if not given.any():
        return None
    top = int(given.argmax())
    others = np.flatnonzero((given > 0) & (np.arange(len(given)) != top))
    n = int(table.times[table.counts[:, [top]].toarray().ravel() < table.size].sum())
    if n * 2 > table.items:
        return None
    return (str(labels[int(others[0])]) if len(others) == 1 else f"another label than {labels[top]}"), n


def per_label_agreement(votes: Votes) -> tuple[Coefficient, ...]:
    """Compute Fleiss' kappa of each label against all other labels; Fleiss (1971), doi:10.1037/h0031619.

    >>> votes = Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 1])
    >>> [round(kappa.value, 2) for kappa in per_label_agreement(votes)]
    [1.0, -0.5, -0.5]
    """
    columns, sizes = (votes.tasks, votes.people), (votes.n_tasks, votes.n_people, 2)
    given = (votes.labels == label for label in range(votes.n_labels))
    return tuple(fleiss_kappa(Votes(*columns, own.astype(np.int64), *sizes)) for own in given)


def label_confusions(votes: Votes) -> Floats:
    """Return the share of all disagreement between each pair of labels, (k, k); the upper half sums to 1.

    >>> label_confusions(Votes([0, 0, 1, 1, 2, 2], [0, 1] * 3, [0, 0, 1, 2, 2, 0])).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.5], [0.5, 0.5, 0.0]]
    """
    shares: Floats = _confusions(votes).toarray()
    return shares


def _confusions(votes: Votes) -> csr_array:
    """Return `label_confusions` without its zeros: of thousands of labels, few are ever confused."""
    table = count_patterns(votes).paired()
    weighted = table.counts.multiply((table.times / (table.size - 1.0))[:, None])
    together = (table.counts.T @ weighted).tocoo()
    apart = together.coords[0] != together.coords[1]
    shares = together.data[apart] / max(together.data[apart].sum() / 2.0, 1e-300)
    cells = together.coords[0][apart], together.coords[1][apart]
    found = coo_array((shares, cells), shape=together.shape).tocsr()
    found.sort_indices()
    return found


def most_disputed(votes: Votes, *, max_tasks: int = 10) -> Ints:
    """Return the tasks with most disagreement, worst first; of equal ones those with more votes, then lower codes."""
    size = np.bincount(votes.tasks, minlength=votes.n_tasks).astype(np.float64)
    _, cell, count = np.unique(votes.tasks * votes.n_labels + votes.labels, return_index=True, return_counts=True)
    equal_pairs = np.bincount(votes.tasks[cell], weights=count.astype(np.float64) ** 2, minlength=votes.n_tasks) - size
    disagreement = np.where(size > 1, 1.0 - equal_pairs / np.maximum(size * (size - 1.0), 1.0), 0.0)
    order = np.lexsort((-size, -disagreement))[:max_tasks]
    worst: Ints = order[disagreement[order] > 0]
    return worst


def _paradox(votes: Votes, labels: Sequence[Hashable], coefficient: Coefficient) -> str:
    """Return sentences that explain a low coefficient next to a high AC1, or "" where there is nothing to explain."""
    agreement, ac1 = percent_agreement(votes), gwet_ac1(votes)
    if not (ac1.value >= UNCLEAR and ac1.value - coefficient.value >= _PARADOX_GAP):  # also where one is NaN
        return ""
    counts = np.bincount(votes.labels, minlength=votes.n_labels)
    top = int(counts.argmax())
    share = counts[top] / counts.sum()
    name, value = coefficient.name, coefficient.value
    ac1_text = format_estimate(ac1.value, ac1.low, ac1.high)
    return (
        f"People agree on {format_percent(agreement.value)} of the pairs, and {labels[top]} is {format_percent(share)} "
        f"of all votes: agreement by chance is then so likely that {name} {format_coefficient(value)} is hard to "
        f"interpret. AC1, which allows for that, is {ac1_text}; draw more items with the rare labels to know more."
    )


def _most_confused(votes: Votes, labels: Sequence[Hashable]) -> tuple[Hashable, Hashable, float] | None:
    shares = triu(_confusions(votes), format="coo")
    if not shares.nnz:
        return None
    top = int(shares.data.argmax())
    a, b = (int(codes[top]) for codes in shares.coords)
    return labels[a], labels[b], float(shares.data[top])
