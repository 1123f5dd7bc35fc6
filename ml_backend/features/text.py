"""Text features: hashed words, pairs of words and letters within words with their counts, and static word vectors.

Not scikit-learn's vectorizers: they count a whole corpus at each fit, and cannot cache the terms of one text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.cache import FeatureCache
from ml_backend.features.vectors import TextWords, word_vectors
from ml_backend.records import field_value

TextRow = bytes  # the features of one text in a cache

VERSION = "text/2"  # part of every cache key: change it with every change of the features
_MAX_CHARS = 20_000  # a longer text is cut, so that one task cannot stall a request
# Texts at a time: of more, the arrays leave the processor's cache; of fewer, words are looked up more often. Text, kind
# and both words of a pair are one 64-bit number up to 2 ** 25 distinct words: so many do not fit in 4,000 texts.
BATCH = 4_000
# words; each Chinese or Japanese character alone, because these have no spaces; each sign alone (£, !, :)
_TOKEN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+|[^\w\s]")
_TAG = re.compile(r"<[^<>]*>")


_GRAM = 4  # letters; runs of 3 to 5 are three times as many and hardly better
_MAX_CACHED_WORDS, _MAX_CACHED_LETTERS = 100_000, 40
_SUBLINEAR = np.concatenate([[0.0], 1.0 + np.log(np.arange(1, 256))])  # of a count in a text


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of n texts; text i has those from starts[i] to starts[i + 1], sorted by code."""

    codes: NDArray[np.uint64] | NDArray[np.uint32]  # (t,)
    counts: NDArray[np.uint8]  # (t,) how often the text has the term; 255 are 255 or more
    starts: NDArray[np.int64]  # (n + 1,)

    @property
    def weights(self) -> NDArray[np.float64]:
        """Return 1 + ln(count) of each term, (t,)."""
        weights: NDArray[np.float64] = _SUBLINEAR[self.counts]
        return weights

    @classmethod
    def join(cls, parts: Sequence[Terms]) -> Terms:
        """Return the terms of several lots of texts, one after another."""
        sizes = [np.diff(part.starts) for part in parts]
        return cls(
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.cumsum(np.concatenate([[0], *sizes])),
        )


@dataclass(frozen=True, slots=True)
class TextBlock:
    """The features of n texts."""

    terms: Terms  # words, and pairs of neighbouring words
    grams: Terms  # runs of four letters within a word, its edges being a letter each
    vectors: NDArray[np.float32]  # (n, d) unit vectors, rounded to 16 bits

    def __len__(self) -> int:
        return len(self.vectors)

    def rows(self) -> list[TextRow]:
        """Return one entry per text, for a cache: the number of its terms, then what `_widths` lists."""
        columns = (
            self.terms.codes.tobytes(),
            self.grams.codes.tobytes(),
            self.vectors.astype(np.float16).tobytes(),
            self.terms.counts.tobytes(),
            self.grams.counts.tobytes(),
        )
        n_terms, d = np.diff(self.terms.starts), self.vectors.shape[1]
        widths = _widths(n_terms, np.diff(self.grams.starts), d)
        ends = widths.cumsum(axis=0)
        bounds = zip((ends - widths).tolist(), ends.tolist(), strict=True)
        parts = [[column[start:end] for column, start, end in zip(columns, *pair, strict=True)] for pair in bounds]
        return [b"".join([head, *row]) for head, row in zip(_split(n_terms.tobytes(), 8), parts, strict=True)]

    @classmethod
    def from_rows(cls, rows: Sequence[TextRow], n_dimensions: int) -> TextBlock:
        """Return the block of entries that `rows` made."""
        n_terms = np.frombuffer(b"".join([row[:8] for row in rows]), np.int64)
        sizes = np.fromiter(map(len, rows), np.int64, count=len(rows))
        n_grams = (sizes - 8 - 9 * n_terms - 2 * n_dimensions) // 5
        ends = 8 + _widths(n_terms, n_grams, n_dimensions).cumsum(axis=1)
        starts = np.hstack([np.full((len(rows), 1), 8), ends[:, :-1]])
        codes, grams, vectors, counts, gram_counts = (
            b"".join([row[start:end] for row, start, end in zip(rows, *column, strict=True)])
            for column in zip(starts.T.tolist(), ends.T.tolist(), strict=True)
        )
        return cls(
            Terms(np.frombuffer(codes, np.uint64), np.frombuffer(counts, np.uint8), _starts(n_terms)),
            Terms(np.frombuffer(grams, np.uint32), np.frombuffer(gram_counts, np.uint8), _starts(n_grams)),
            np.frombuffer(vectors, np.float16).reshape(len(rows), n_dimensions).astype(np.float32),
        )


def _widths(n_terms: NDArray[np.int64], n_grams: NDArray[np.int64], d: int) -> NDArray[np.int64]:
    """Return the bytes of each text's codes of terms and of grams, its vector and both counts, (n, 5).

    What has many bytes comes first, so that numpy finds it at a multiple of its size.
    """
    return np.stack([8 * n_terms, 4 * n_grams, np.full(len(n_terms), 2 * d), n_terms, n_grams], axis=1)


def _split(column: bytes, width: int) -> list[bytes]:
    return [column[start : start + width] for start in range(0, len(column), width)]


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)])


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
    word codes side by side in 64 bits, so that only single words can collide. Runs of four letters within words (as
    scikit-learn's "char_wb" makes them) find words in another form or spelling; their codes are CRC-32, too.

    >>> block = text_block(["Buy now, buy", "later"])
    >>> np.diff(block.terms.starts), block.terms.weights.max().round(2).item(), np.diff(block.grams.starts)
    (array([6, 1]), 1.69, array([5, 4]))
    """
    blocks = [_cached_block(texts[start : start + BATCH], cache) for start in range(0, max(len(texts), 1), BATCH)]
    if len(blocks) == 1:
        return blocks[0]
    return TextBlock(
        Terms.join([block.terms for block in blocks]),
        Terms.join([block.grams for block in blocks]),
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


def gram_codes(word: str) -> NDArray[np.uint32]:
    """Return the codes of all runs of four letters of a word in small letters, its edges being spaces.

    >>> len(gram_codes("Buy")), len(gram_codes("a"))
    (2, 0)
    """
    return np.frombuffer(_gram_bytes(word), np.uint32)


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
        terms = _count_one(np.concatenate([singles, singles[:-1] << np.uint64(32) | singles[1:]]))
        grams = _count_one(np.frombuffer(b"".join(map(_gram_bytes, texts[0].split())), np.uint32))
        return TextBlock(terms, grams, _rounded(word_vectors()(texts)))
    words = TextWords(texts)
    code_rows = [[crc32(token.encode()) for token in tokenize(word)] for word in words.distinct]
    known = sorted({code for row in code_rows for code in row})
    rank = {code: place for place, code in enumerate(known)}
    ranks, n_tokens = words.gather([[rank[code] for code in row] for row in code_rows])
    terms = _count_terms(ranks, n_tokens, np.array(known, np.uint64))
    return TextBlock(terms, _count_grams(words), _rounded(word_vectors().of_words(words)))


def _gram_bytes(word: str) -> bytes:
    return (_known_gram_bytes if len(word) <= _MAX_CACHED_LETTERS else _make_gram_bytes)(word)


def _make_gram_bytes(word: str) -> bytes:
    padded = f" {word.lower()} "
    if padded.isascii():  # a letter is a byte
        raw = padded.encode()
        codes = [crc32(raw[at : at + _GRAM]) for at in range(len(raw) - _GRAM + 1)]
    else:
        codes = [crc32(padded[at : at + _GRAM].encode()) for at in range(len(padded) - _GRAM + 1)]
    return np.array(codes, np.uint32).tobytes()


_known_gram_bytes = lru_cache(maxsize=_MAX_CACHED_WORDS)(_make_gram_bytes)  # about 20 MB


def _rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors as the cache keeps them, so that it changes no number."""
    return vectors.astype(np.float16).astype(np.float32)


def _count_one(codes: NDArray[Any]) -> Terms:
    codes = np.sort(codes)
    place = _first_places(codes)
    return Terms(codes[place], _capped(np.diff(place, append=len(codes))), np.array([0, len(place)]))


def _capped(counts: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.minimum(counts, 255).astype(np.uint8)


def _count_grams(words: TextWords) -> Terms:
    rows = list(map(_gram_bytes, words.distinct))
    sizes = np.fromiter(map(len, rows), np.int64, count=len(rows)) // 4
    codes, n_codes = words.gather_flat(np.frombuffer(b"".join(rows), np.uint32).astype(np.int64), sizes)
    keys = np.sort(np.repeat(np.arange(len(n_codes)), n_codes) << 32 | codes)
    place = _first_places(keys)
    counts, keys = np.diff(place, append=len(keys)), keys[place]
    n_grams = np.bincount(keys >> 32, minlength=len(n_codes))
    return Terms((keys & 0xFFFFFFFF).astype(np.uint32), _capped(counts), _starts(n_grams))


def _count_terms(ranks: NDArray[np.int64], n_tokens: NDArray[np.int64], known: NDArray[np.uint64]) -> Terms:
    """Return the terms of n texts, of which `n_tokens`, (n,), has the numbers of tokens.

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
    return Terms(codes, _capped(counts), _starts(np.bincount(keys >> text_bit, minlength=len(n_tokens))))


def _first_places(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of the first of each run of equal values."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return np.flatnonzero(first)
