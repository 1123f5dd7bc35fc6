"""Static word vectors from the weights in wordllama's wheel; the package itself is never imported."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ml_backend.errors import BackendError

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"
_MAX_CACHED_WORDS = 100_000  # about 20 MB; a language has far fewer frequent words
_MAX_CACHED_LETTERS = 40  # a longer word hardly occurs twice
_MAX_PIECE = 200  # letters that are tokenised together; longer "words" are texts without spaces, or attacks


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
        tokens = [self._tokens(text) for text in texts]
        sums: NDArray[np.float32]
        if len(texts) == 1:
            sums = self._weights[tokens[0]].sum(axis=0)[None, :]
        else:
            flat = [token for row in tokens for token in row]
            starts = np.cumsum([0, *map(len, tokens)])
            counts = np.ones(len(flat), np.float32)
            sums = sparse.csr_array((counts, flat, starts), shape=(len(texts), len(self._weights))) @ self._weights
        length = np.sqrt(np.einsum("nd,nd->n", sums, sums))
        sums /= np.where(length > 0, length, 1.0)[:, None]
        return sums

    def contributions(self, text: str, direction: NDArray[np.float32]) -> list[float]:
        """Return what each word of `text.split()` adds to the dot product of the text's vector and `direction`."""
        rows = [self._weights[self._tokens(word)].sum(axis=0) for word in text.split()]
        if not rows:
            return []
        length = float(np.linalg.norm(np.sum(rows, axis=0)))
        return [float(row @ direction) / (length or 1.0) for row in rows]

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = []
        for word in text.split():
            cached = self._words.get(word)
            if cached is None:
                cached = self._encode(word)
                if len(word) <= _MAX_CACHED_LETTERS:
                    if len(self._words) >= _MAX_CACHED_WORDS:
                        self._words.clear()
                    self._words[word] = cached
            tokens += cached
        return tokens

    def _encode(self, word: str) -> list[int]:
        # in pieces, because the tokenizer takes 0.6 s for one word of 20,000 characters
        pieces = (word[start : start + _MAX_PIECE] for start in range(0, len(word), _MAX_PIECE))
        return [token for piece in pieces for token in self._tokenizer.encode(piece, add_special_tokens=False).ids]


@lru_cache(maxsize=1)
def word_vectors() -> WordVectors:
    """Return the vectors, read once per process in about 0.1 s; BackendError where the wheel is not installed."""
    # reason: imports that serving an image project never needs
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = _package_folder()
    (weights,) = load_file(folder / _WEIGHTS).values()
    tokenizer = Tokenizer.from_file(str(folder / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return WordVectors(weights.astype(np.float32), tokenizer)


def _package_folder() -> Path:
    spec = find_spec("wordllama")  # finds the folder without running the package, which would use the network
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / _WEIGHTS).is_file() and (Path(folder) / _TOKENIZER).is_file():
            return Path(folder)
    raise BackendError(
        "the word vectors are not installed: no weights in a package called wordllama.",
        hint="Run: pip install 'wordllama>=0.4' (its wheel carries the weights; nothing is downloaded later).",
    )
