"""Text features: hashed terms with their weights, and static word vectors.

Not scikit-learn's vectorizers: they count a whole corpus at each fit, and cannot cache the terms of one text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.cache import FeatureCache
from ml_backend.features.vectors import word_vectors
from ml_backend.records import field_value

TextRow = tuple[NDArray[np.uint64], NDArray[np.float64], NDArray[np.float32]]  # codes, weights, vector of one text

VERSION = "text/1"  # part of every cache key: change it with every change of the features
_MAX_CHARS = 20_000  # a longer text is cut, so that one task cannot stall a request
# words; each Chinese or Japanese character alone, because these have no spaces; each sign alone (£, !, :)
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
_TAG = re.compile(r"<[^<>]*>")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The features of n texts; text i has the terms from starts[i] to starts[i + 1], sorted by code."""

    codes: NDArray[np.uint64]  # (t,)
    weights: NDArray[np.float64]  # (t,) 1 + ln(count in the text)
    starts: NDArray[np.int64]  # (n + 1,)
    vectors: NDArray[np.float32]  # (n, d) unit vectors

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self) -> list[TextRow]:
        """Return one entry per text."""
        spans = zip(self.starts[:-1], self.starts[1:], self.vectors, strict=True)
        return [(self.codes[start:stop], self.weights[start:stop], vector) for start, stop, vector in spans]


def read_text(data: Mapping[str, Any], field: str, *, html: bool = False) -> str | None:
    """Return the text that people see in a field; None where there is none.

    >>> read_text({"text": " <b>Hi</b> there "}, "text", html=True)
    'Hi there'
    >>> read_text({"text": None}, "text") is None
    True
    """
    value = field_value(data, field)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return None
    text = value[:_MAX_CHARS]
    if html:
        text = " ".join(_TAG.sub(" ", text).split())
    # lone surrogates are legal in JSON and in str, but in no encoding
    return text.encode("utf-8", "replace").decode().strip() or None


def text_block(texts: Sequence[str], cache: FeatureCache[TextRow] | None = None) -> TextBlock:
    """Return the features of texts, from the cache where it has them.

    A term is a word or a pair of neighbouring words. The code of a word is its CRC-32; the code of a pair is the two
    word codes side by side in 64 bits, so that only single words can collide.

    >>> block = text_block(["Buy now, buy", "later"])
    >>> np.diff(block.starts), block.weights.max().round(2).item()
    (array([6, 1]), 1.69)
    """
    if cache is None or not texts:
        return _compute(texts)
    rows = [row for row in cache.rows(VERSION, texts, lambda unknown: _compute(unknown).rows()) if row is not None]
    codes, weights, vectors = zip(*rows, strict=True)
    starts = np.cumsum([0, *map(len, codes)])
    return TextBlock(np.concatenate(codes), np.concatenate(weights), starts, np.stack(vectors))


def tokenize(text: str) -> list[str]:
    """Return the words and signs of a text; splitting it at spaces first gives the same tokens.

    >>> tokenize("Don't pay £5")
    ['don', "'", 't', 'pay', '£', '5']
    """
    return _TOKEN.findall(text.lower())


def term_codes(tokens: Sequence[str]) -> NDArray[np.uint64]:
    """Return the code of each token as a term of its own, shape (t,)."""
    codes = {token: crc32(token.encode()) for token in set(tokens)}  # few words make most of any text
    return np.fromiter(map(codes.__getitem__, tokens), np.uint64, count=len(tokens))


def inverse_document_frequency(n_texts: int, frequency: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return scikit-learn's smooth idf, ln((1 + n) / (1 + df)) + 1, for the document frequencies of terms.

    >>> inverse_document_frequency(9, np.array([9, 0])).round(2)
    array([1. , 3.3], dtype=float32)
    """
    return (math.log(1.0 + n_texts) - np.log1p(frequency) + 1.0).astype(np.float32)


def _compute(texts: Sequence[str]) -> TextBlock:
    words = [tokenize(text) for text in texts]
    sizes = [len(row) for row in words]
    singles = term_codes([token for row in words for token in row])
    owner = np.repeat(np.arange(len(texts)), sizes)
    same_text = owner[1:] == owner[:-1]  # a pair never spans two texts
    pairs = ((singles[:-1] << np.uint64(32)) | singles[1:])[same_text]
    codes, owners = np.concatenate([singles, pairs]), np.concatenate([owner, owner[:-1][same_text]])
    if len(texts) == 1:
        codes = np.sort(codes)
    else:
        order = np.lexsort((codes, owners))
        codes, owners = codes[order], owners[order]
    first = np.ones(len(codes), bool)
    first[1:] = (codes[1:] != codes[:-1]) | (owners[1:] != owners[:-1])
    place = np.flatnonzero(first)
    counts = np.diff(place, append=len(codes))
    starts = np.concatenate([[0], np.cumsum(np.bincount(owners[place], minlength=len(texts)))])
    return TextBlock(codes[place], 1.0 + np.log(counts), starts, word_vectors()(texts))
