"""Static word vectors from the weights in wordllama's wheel; the package itself is never imported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ml_backend.features.package_files import package_folder

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_MAX_CACHED_WORDS = 100_000  # about 20 MB; a language has far fewer frequent words
_MAX_CACHED_LETTERS = 40  # a longer word hardly occurs twice
_MAX_PIECE = 200  # letters that are tokenised together; longer "words" are texts without spaces, or attacks


class TextWords:
    """The words of n texts, split at spaces: what is made of a word is made once, however many texts have it.

    >>> values, sizes = TextWords(["a b", "a"]).gather([[1, 2], [3]])
    >>> values.tolist(), sizes.tolist()
    ([1, 2, 3, 1, 2], [3, 2])
    """

    def __init__(self, texts: Sequence[str]) -> None:
        flat, sizes = list[str](), list[int]()
        for text in texts:  # not a list of lists: so many of them start the garbage collector
            words = text.split()
            flat += words
            sizes.append(len(words))
        number = {word: place for place, word in enumerate(dict.fromkeys(flat))}
        self.distinct = list(number)
        self._places = np.fromiter(map(number.__getitem__, flat), np.int64, count=len(flat))
        self._starts = np.cumsum([0, *sizes])  # (n + 1,)

    def gather(self, rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Replace each word by its row of numbers; return them all, (t,), and how many each text has, (n,)."""
        row_sizes = np.array([len(row) for row in rows], np.int64)
        return self.gather_flat(np.array(list(chain.from_iterable(rows)), np.int64), row_sizes)

    def gather_flat(
        self, values: NDArray[np.int64], row_sizes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the same of rows that stand one after another in `values`, `row_sizes` numbers each."""
        row_starts = np.cumsum(row_sizes) - row_sizes
        sizes = row_sizes[self._places]
        ends = np.concatenate([[0], np.cumsum(sizes)])
        at = np.arange(ends[-1]) + np.repeat(row_starts[self._places] - ends[:-1], sizes)
        return values[at], np.diff(ends[self._starts])


class WordVectors:
    """Turn texts into unit vectors: the mean of their tokens' vectors, shape (n, 256) float32; zeros without tokens.

    The tokenizer gets one word at a time, and each word once: its tokens never cross a space, and a cached word costs
    50 ns. (Its own batches start a thread pool, which does not survive a fork.)
    """

    def __init__(self, weights: NDArray[np.float32], tokenizer: Any) -> None:
        self._weights = weights  # (tokens, d)
        self._tokenizer = tokenizer
        self._words: dict[str, list[int]] = {}
        self.size = int(weights.shape[1])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of texts, shape (n, size); case and punctuation matter."""
        if len(texts) == 1:  # a request waits
            return _unit(self._weights[self._tokens(texts[0])].sum(axis=0)[None, :])
        return self.of_words(TextWords(texts))

    def of_words(self, words: TextWords) -> NDArray[np.float32]:
        """Return the same for texts that are split already."""
        rows = [self._word_tokens(word) for word in words.distinct]
        tokens, n_tokens = words.gather(rows)
        starts = np.concatenate([[0], np.cumsum(n_tokens)])
        counts = np.ones(len(tokens), np.float32)
        return _unit(
            sparse.csr_array((counts, tokens, starts), shape=(len(n_tokens), len(self._weights))) @ self._weights
        )

    def contributions(self, text: str, direction: NDArray[np.float32]) -> list[float]:
        """Return what each word of `text.split()` adds to the dot product of the text's vector and `direction`."""
        rows = [self._weights[self._tokens(word)].sum(axis=0) for word in text.split()]
        if not rows:
            return []
        length = float(np.linalg.norm(np.sum(rows, axis=0)))
        return [float(row @ direction) / (length or 1.0) for row in rows]

    def _tokens(self, text: str) -> list[int]:
        return [token for word in text.split() for token in self._word_tokens(word)]

    def _word_tokens(self, word: str) -> list[int]:
        cached = self._words.get(word)
        if cached is None:
            cached = self._encode(word)
            if len(word) <= _MAX_CACHED_LETTERS:
                if len(self._words) >= _MAX_CACHED_WORDS:
                    self._words.clear()
                self._words[word] = cached
        return cached

    def _encode(self, word: str) -> list[int]:
        # in pieces, because the tokenizer takes 0.6 s for one word of 20,000 characters
        pieces = (word[start : start + _MAX_PIECE] for start in range(0, len(word), _MAX_PIECE))
        return [token for piece in pieces for token in self._tokenizer.encode(piece, add_special_tokens=False).ids]


def _unit(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to length 1 in place; zeros stay."""
    length = np.sqrt(np.einsum("nd,nd->n", sums, sums))
    sums /= np.where(length > 0, length, 1.0)[:, None]
    return sums


@lru_cache(maxsize=1)
def word_vectors() -> WordVectors:
    """Return the vectors, read once per process in about 0.1 s; UnknownName where the wheel is not installed."""
    # reason: imports that serving an image project never needs
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    # found without running the package, which would use the network
    folder = package_folder("wordllama", (_WEIGHTS, _TOKENIZER), what="the word vectors", install="wordllama>=0.4")
    (weights,) = load_file(folder / _WEIGHTS).values()
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return WordVectors(weights.astype(np.float32), tokenizer)
