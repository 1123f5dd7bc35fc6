"""Which words spoke for an answer to a text: each term's and each word vector's share, added up by word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.text import term_codes, tokenize
from ml_backend.features.vectors import word_vectors

_FEW = 3  # tokens of what is still one word to people: don't; a text without spaces is told by its tokens
_EDGES = ".,;:!?\"'()[]{}<>«»„“”‚‘’…"

Floats = NDArray[np.float32]


def word_shares(text: str, terms: dict[int, float], direction: Floats) -> Iterator[tuple[str, float]]:
    """Give (word, share) of each place in a text; the shares add up to all that the text contributed.

    `terms` gives the contribution of each known term by its code; a pair's is split between its two words. `direction`
    (d,) is what the text's vector is weighed with.
    """
    words = text.split()
    tokens = [tokenize(word) for word in words]
    codes = term_codes([token for row in tokens for token in row])
    shares = _by_token(codes, terms)
    at = 0
    for word, row, vector in zip(words, tokens, word_vectors().shares(text, direction), strict=True):
        mine = shares[at : at + len(row)]
        at += len(row)
        if len(row) <= _FEW:
            yield word.strip(_EDGES).lower() or word, vector + sum(mine)
        else:
            yield from zip(row, (share + vector / len(row) for share in mine), strict=True)


def _by_token(codes: NDArray[np.uint64], terms: dict[int, float]) -> list[float]:
    """(t,) what each token contributes: its own term's share, and half of each pair that it stands in."""
    ones = [int(code) for code in codes]
    pairs = [(first << 32) | second for first, second in pairwise(ones)]
    times = Counter(ones) + Counter(pairs)
    shares = [terms.get(code, 0.0) / times[code] for code in ones]
    for place, code in enumerate(pairs):
        half = terms.get(code, 0.0) / times[code] / 2
        shares[place] += half
        shares[place + 1] += half
    return shares
