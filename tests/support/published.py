"""Votes and ratings as printed in the literature, and how to turn them into Votes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feedback.votes import Votes

Table = Sequence[Sequence[int]]


def from_contingency(table: Table) -> Votes:
    """Two people: `table[a][b]` items were called a by the first and b by the second."""
    k = len(table)
    cells = np.repeat([[a, b] for a in range(k) for b in range(k)], np.ravel(table), axis=0)
    n = len(cells)
    return Votes(np.repeat(np.arange(n), 2), np.tile([0, 1], n), cells.ravel(), n_labels=k)


def from_counts(table: Table) -> Votes:
    """`table[item][label]` votes; nobody knows whose."""
    tasks, labels = np.repeat(
        [[i, k] for i in range(len(table)) for k in range(len(table[0]))], np.ravel(table), axis=0
    ).T
    people = np.concatenate([np.arange(n) for n in np.bincount(tasks)])
    return Votes(tasks, people, labels, n_labels=len(table[0]))


def from_rows(table: Sequence[Sequence[int | None]]) -> Votes:
    """`table[item][person]`, None where missing; labels are coded in sorted order."""
    known = sorted({label for row in table for label in row if label is not None})
    cells = [
        (i, j, known.index(label)) for i, row in enumerate(table) for j, label in enumerate(row) if label is not None
    ]
    return Votes(*np.transpose(cells))


def transposed(table: Sequence[Sequence[int | None]]) -> list[list[int | None]]:
    """Krippendorff prints observers in rows."""
    return [list(column) for column in zip(*table, strict=True)]


# Cohen (1960), worked table, N = 200
COHEN_1960 = [[88, 14, 18], [10, 40, 10], [2, 6, 12]]
# Gwet (2002): high agreement, kappa below zero
PARADOX_2002 = [[118, 5], [2, 0]]
# From Gwet (2014), two raters
ABSTRACTORS = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
# From Gwet (2014), two raters
DIAGNOSES = [[40, 4, 4, 17], [6, 25, 2, 13], [4, 1, 21, 12], [15, 5, 9, 45]]
# Wikipedia, Fleiss' kappa, 14 raters
FLEISS_WIKIPEDIA = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
# Fleiss (1971) Table 1, 6 raters
FLEISS_1971 = [
    [0, 0, 0, 6, 0],
    [0, 3, 0, 0, 3],
    [0, 1, 4, 0, 1],
    [0, 0, 0, 0, 6],
    [0, 3, 0, 3, 0],
    [2, 0, 4, 0, 0],
    [0, 0, 4, 0, 2],
    [2, 0, 3, 1, 0],
    [2, 0, 0, 4, 0],
    [0, 0, 0, 0, 6],
    [1, 0, 0, 5, 0],
    [1, 1, 0, 4, 0],
    [0, 3, 3, 0, 0],
    [1, 0, 0, 5, 0],
    [0, 2, 0, 3, 1],
    [0, 0, 5, 0, 1],
    [3, 0, 0, 1, 2],
    [5, 1, 0, 0, 0],
    [0, 2, 0, 4, 0],
    [1, 0, 2, 0, 3],
    [0, 0, 0, 0, 6],
    [0, 1, 0, 5, 0],
    [0, 2, 0, 1, 3],
    [2, 0, 0, 4, 0],
    [1, 0, 0, 4, 1],
    [0, 5, 0, 1, 0],
    [4, 0, 0, 0, 2],
    [0, 2, 0, 4, 0],
    [1, 0, 5, 0, 0],
    [0, 0, 0, 0, 6],
]
# Krippendorff (2011) section C, observers in rows
KRIPPENDORFF_2011 = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# Krippendorff (2011) section A
MEG_OWEN = [[0, 1, 0, 0, 0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]]
# Krippendorff (2011) section B, a..e as 0..4
BEN_GERRY = [[0, 0, 1, 1, 3, 2, 2, 2, 4, 3, 3, 0], [1, 0, 1, 1, 1, 2, 2, 2, 4, 3, 3, 3]]
# Gwet (2014): cac.raw4raters
FOUR_RATERS = [
    [1, 1, None, 1],
    [2, 2, 3, 2],
    [3, 3, 3, 3],
    [3, 3, 3, 3],
    [2, 2, 2, 2],
    [1, 2, 3, 4],
    [4, 4, 4, 4],
    [1, 1, 2, 1],
    [2, 2, 2, 2],
    [None, 5, 5, 5],
    [None, None, 1, 1],
    [None, None, 3, None],
]
# Gwet (2014): cac.raw5obser
FIVE_OBSERVERS = [
    [1, 1, 2, None, 2],
    [1, 1, 0, 1, None],
    [2, 3, 3, 3, None],
    [None, 0, 0, None, 0],
    [0, 0, 0, None, 0],
    [0, 0, 0, None, 0],
    [1, 0, 2, None, 1],
    [1, None, 2, 0, None],
    [2, 2, 2, None, 2],
    [2, 1, 1, 1, None],
    [None, 1, 0, 0, None],
    [0, 0, 0, 0, None],
    [1, 2, 2, 2, None],
    [3, 3, 2, 2, 3],
    [1, 1, 1, None, 1],
]
# Shrout and Fleiss (1979) Table 2, judges in columns
SHROUT_FLEISS_1979 = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
# Dawid and Skene (1979) Table 1: 45 patients, 5 observers; observer 1 rates thrice
DAWID_SKENE_1979 = [
    ["111", "1", "1", "1", "1"],
    ["333", "4", "3", "3", "4"],
    ["112", "2", "1", "2", "2"],
    ["222", "3", "1", "2", "1"],
    ["222", "3", "2", "2", "2"],
    ["222", "3", "3", "2", "2"],
    ["122", "2", "1", "1", "1"],
    ["333", "3", "4", "3", "3"],
    ["222", "2", "2", "2", "3"],
    ["232", "2", "2", "2", "3"],
    ["444", "4", "4", "4", "4"],
    ["222", "3", "3", "4", "3"],
    ["111", "1", "1", "1", "1"],
    ["222", "3", "2", "1", "2"],
    ["121", "1", "1", "1", "1"],
    ["111", "2", "1", "1", "1"],
    ["111", "1", "1", "1", "1"],
    ["111", "1", "1", "1", "1"],
    ["222", "2", "2", "2", "1"],
    ["222", "1", "3", "2", "2"],
    ["222", "2", "2", "2", "2"],
    ["222", "2", "2", "2", "1"],
    ["222", "3", "2", "2", "2"],
    ["221", "2", "2", "2", "2"],
    ["111", "1", "1", "1", "1"],
    ["111", "1", "1", "1", "1"],
    ["232", "2", "2", "2", "2"],
    ["111", "1", "1", "1", "1"],
    ["111", "1", "1", "1", "1"],
    ["112", "1", "1", "2", "1"],
    ["111", "1", "1", "1", "1"],
    ["333", "3", "2", "3", "3"],
    ["111", "1", "1", "1", "1"],
    ["222", "2", "2", "2", "2"],
    ["222", "3", "2", "3", "2"],
    ["433", "4", "3", "4", "3"],
    ["221", "2", "2", "3", "2"],
    ["232", "3", "2", "3", "3"],
    ["333", "3", "4", "3", "2"],
    ["111", "1", "1", "1", "1"],
    ["111", "1", "1", "1", "1"],
    ["121", "2", "1", "1", "1"],
    ["232", "2", "2", "2", "2"],
    ["121", "1", "1", "1", "1"],
    ["222", "2", "2", "2", "2"],
]
