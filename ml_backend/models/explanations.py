"""Explain a prediction of a linear model: what each word, image part or indicator contributed to the log-odds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.text import gram_codes, term_codes, tokenize
from ml_backend.features.vectors import word_vectors

_MIN_WEIGHT = 0.05
_MAX_TOKENS = 3  # of a word such as don't; longer "words" are texts without spaces, explained token by token
_PUNCTUATION = ".,;:!?\"'()[]{}<>«»„“”‚‘’…"


@dataclass(frozen=True, slots=True)
class Contribution:
    """How far one part of a task moved the log-odds of a class against another."""

    what: str  # a word, a part of the image, or "fraud_type = card"
    weight: float  # above 0 for the class; about 0.7 doubles its odds


@runtime_checkable
class ExplainableModel(Protocol):
    """A linear model: the contributions and the intercept sum to the log-odds exactly."""

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Return what each part of a task contributed to class `answer` against class `other`.

        [] for a task that cannot be read.
        """


def strongest_contributions(contributions: Iterable[Contribution], *, most: int = 6) -> list[Contribution]:
    """Return up to `most` contributions with an absolute weight of at least 0.05.

    First what speaks for the answer, then what speaks against it; of each the strongest first. The strongest part of
    each side is among them.

    >>> strongest_contributions([Contribution("the", 0.01), Contribution("prize", 0.9), Contribution("lunch", -1.2)])
    [Contribution(what='prize', weight=0.9), Contribution(what='lunch', weight=-1.2)]
    """
    parts = sorted(contributions, key=lambda part: (-abs(part.weight), part.what))
    strong = [part for part in parts if abs(part.weight) >= _MIN_WEIGHT]
    sides = [[part for part in strong if (part.weight > 0) == speaks_for] for speaks_for in (True, False)]
    first = [side[0] for side in sides if side]
    others = [part for part in strong if part not in first]
    return sorted([*first, *others][:most], key=lambda part: (part.weight < 0, -abs(part.weight), part.what))


def sum_by_name(parts: Iterable[tuple[str, float]]) -> list[Contribution]:
    """Return one contribution per name, in the order in which the names first occur."""
    total: dict[str, float] = {}
    for what, weight in parts:
        total[what] = total.get(what, 0.0) + weight
    return [Contribution(what, weight) for what, weight in total.items()]


def word_contributions(
    text: str, terms: dict[int, float], grams: dict[int, float], direction: NDArray[np.float32]
) -> Iterator[tuple[str, float]]:
    """Yield (word, contribution) for each word of a text; the sum is the contribution of the whole text.

    `terms` has the contribution of each known term by its code, that of a pair split between its two words; `grams`
    that of each known run of letters, split between the words that have it.
    `direction`, (d,), is the difference of two classes' coefficients for the text's word vector.
    """
    words = text.split()
    tokens = [tokenize(word) for word in words]
    by_token = _token_contributions(term_codes([token for row in tokens for token in row]), terms)
    letters = [gram_codes(word).tolist() for word in words]
    counts = Counter(chain.from_iterable(letters))
    start = 0
    vectors = word_vectors().contributions(text, direction)
    for word, row, found, vector in zip(words, tokens, letters, vectors, strict=True):
        whole = vector + sum(grams.get(code, 0.0) / counts[code] for code in found)
        own = by_token[start : start + len(row)]
        start += len(row)
        if len(row) <= _MAX_TOKENS:
            yield word.strip(_PUNCTUATION).lower() or word, whole + sum(own)
        else:
            yield from zip(row, (contribution + whole / len(row) for contribution in own), strict=True)


def _token_contributions(codes: NDArray[np.uint64], terms: dict[int, float]) -> list[float]:
    """Return what each token contributes, shape (t,): its own term, and half of each pair that contains it."""
    singles = [int(code) for code in codes]
    pairs = [(first << 32) | second for first, second in pairwise(singles)]
    counts = Counter(singles) + Counter(pairs)
    contributions = [terms.get(code, 0.0) / counts[code] for code in singles]
    for place, code in enumerate(pairs):
        half = terms.get(code, 0.0) / counts[code] / 2
        contributions[place] += half
        contributions[place + 1] += half
    return contributions
