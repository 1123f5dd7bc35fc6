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
from ml_backend.features.vectors import TextWords, word_vectors
from ml_backend.records import field_value

TextRow = bytes  # the features of one text in a cache: its codes, weights and vector one after another

VERSION = "text/1"  # part of every cache key: change it with every change of the features
_MAX_CHARS = 20_000  # a longer text is cut, so that one task cannot stall a request
# Texts at a time: of more, the arrays leave the processor's cache; of fewer, words are looked up more often. Text, kind
# and both words of a pair are one 64-bit number up to 2 ** 25 distinct words: so many do not fit in 4,000 texts.
BATCH = 4_000
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
        """Return one entry per text, for a cache."""
        if len(self) == 1:  # a request waits
            return [self.codes.tobytes() + self.weights.tobytes() + self.vectors.tobytes()]
        codes, weights, vectors = self.codes.tobytes(), self.weights.tobytes(), self.vectors.tobytes()
        starts, ends = (8 * self.starts[:-1]).tolist(), (8 * self.starts[1:]).tolist()
        size = 4 * self.vectors.shape[1]
        return [
            codes[start:end] + weights[start:end] + vectors[at : at + size]
            for start, end, at in zip(starts, ends, range(0, len(vectors), size), strict=True)
        ]

    @classmethod
    def from_rows(cls, rows: Sequence[TextRow], n_dimensions: int) -> TextBlock:
        """Return the block of entries that `rows` made."""
        if len(rows) == 1:
            row, n = rows[0], (len(rows[0]) - 4 * n_dimensions) // 16
            starts, vector = np.array([0, n]), np.frombuffer(row, np.float32, offset=16 * n)[None, :]
            return cls(np.frombuffer(row, np.uint64, n), np.frombuffer(row, np.float64, n, 8 * n), starts, vector)
        n_terms = (np.fromiter(map(len, rows), np.int64, count=len(rows)) - 4 * n_dimensions) // 16
        ends = (8 * n_terms).tolist()  # of the codes; as many bytes of weights follow, then the vector
        codes = b"".join([row[:end] for row, end in zip(rows, ends, strict=True)])
        weights = b"".join([row[end : 2 * end] for row, end in zip(rows, ends, strict=True)])
        vectors = b"".join([row[2 * end :] for row, end in zip(rows, ends, strict=True)])
        return cls(
            np.frombuffer(codes, np.uint64),
            np.frombuffer(weights, np.float64),
            np.concatenate([[0], np.cumsum(n_terms)]),
            np.frombuffer(vectors, np.float32).reshape(len(rows), n_dimensions),
        )


def read_text(data: Mapping[str, Any], field: str, *, html: bool = False) -> str | None:
    """Return the text that people see in a field; None where there is none.

    >>> read_text({"text": " <b>Hi</b> there "}, "text", html=True)
    'Hi there'
    """
    value = field_value(data, field)
    if not isinstance(value, str):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return None
        value = str(value)
    text = value[:_MAX_CHARS]
    if html:
        text = " ".join(_TAG.sub(" ", text).split())
    if not text.isascii():  # lone surrogates are legal in JSON and in str, but in no encoding
        text = text.encode("utf-8", "replace").decode()
    return text.strip() or None


def text_block(texts: Sequence[str], cache: FeatureCache[TextRow] | None = None) -> TextBlock:
    """Return the features of texts, from the cache where it has them.

    A term is a word or a pair of neighbouring words. The code of a word is its CRC-32; the code of a pair is the two
    word codes side by side in 64 bits, so that only single words can collide.

    >>> block = text_block(["Buy now, buy", "later"])
    >>> np.diff(block.starts), block.weights.max().round(2).item()
    (array([6, 1]), 1.69)
    """
    blocks = [_cached_block(texts[start : start + BATCH], cache) for start in range(0, max(len(texts), 1), BATCH)]
    if len(blocks) == 1:
        return blocks[0]
    return TextBlock(
        np.concatenate([block.codes for block in blocks]),
        np.concatenate([block.weights for block in blocks]),
        np.cumsum(np.concatenate([[0], *(np.diff(block.starts) for block in blocks)])),
        np.concatenate([block.vectors for block in blocks]),
    )


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


def _cached_block(texts: Sequence[str], cache: FeatureCache[TextRow] | None) -> TextBlock:
    if cache is None or not texts:
        return _compute(texts)
    computed: list[TextBlock] = []

    def compute(unknown: Sequence[str]) -> list[TextRow]:
        computed.append(_compute(unknown))
        return computed[0].rows()

    rows = [row for row in cache.rows(VERSION, texts, compute) if row is not None]
    if computed and len(computed[0]) == len(texts):  # all of them were unknown
        return computed[0]
    return TextBlock.from_rows(rows, word_vectors().size)


def _compute(texts: Sequence[str]) -> TextBlock:
    if len(texts) == 1:  # a request waits; the counting below pays off from a few texts on
        singles = term_codes(tokenize(texts[0]))
        codes = np.sort(np.concatenate([singles, singles[:-1] << np.uint64(32) | singles[1:]]))
        place = _first_places(codes)
        counts = np.diff(place, append=len(codes))
        return TextBlock(codes[place], 1.0 + np.log(counts), np.array([0, len(place)]), word_vectors()(texts))
    words = TextWords(texts)
    code_rows = [[crc32(token.encode()) for token in tokenize(word)] for word in words.distinct]
    known = sorted({code for row in code_rows for code in row})
    rank = {code: place for place, code in enumerate(known)}
    ranks, n_tokens = words.gather([[rank[code] for code in row] for row in code_rows])
    codes, counts, n_terms = _count_terms(ranks, n_tokens, np.array(known, np.uint64))
    starts = np.concatenate([[0], np.cumsum(n_terms)])
    return TextBlock(codes, 1.0 + np.log(counts), starts, word_vectors().of_words(words))


def _count_terms(
    ranks: NDArray[np.int64], n_tokens: NDArray[np.int64], known: NDArray[np.uint64]
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the codes of each text's terms, sorted, how often it has each, and how many it has, (n,).

    `ranks` are the places in `known` of all tokens. Text, pair or not, and both ranks are sorted as one number.
    """
    bits = len(known).bit_length()
    mask, pair_bit, text_bit = (1 << bits) - 1, 2 * bits, 2 * bits + 1
    text = np.repeat(np.arange(len(n_tokens)), n_tokens) << text_bit
    pairs = text[1:] | (1 << pair_bit) | (ranks[:-1] << bits) | ranks[1:]
    keys = np.sort(np.concatenate([text | ranks, pairs[text[1:] == text[:-1]]]))  # a pair never spans two texts
    place = _first_places(keys)
    counts, keys = np.diff(place, append=len(keys)), keys[place]
    codes = known[keys & mask]
    is_pair = (keys >> pair_bit & 1).astype(bool)
    codes[is_pair] |= known[keys[is_pair] >> bits & mask] << np.uint64(32)
    return codes, counts, np.bincount(keys >> text_bit, minlength=len(n_tokens))


def _first_places(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of the first of each run of equal values."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return np.flatnonzero(first)
