"""Static word vectors: the weights inside wordllama's wheel, read by path; the package itself is never imported."""

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
_MAX_WORDS = 100_000  # some 20 MB; a language's frequent words are far fewer
_LONGEST = 40  # letters of a remembered word: what is longer hardly comes twice
_PIECE = 200  # letters that are tokenised together; longer "words" are texts without spaces, or mischief


class WordVectors:
    """One unit vector for each text: the mean of its tokens' vectors, (n, 256) float32; zeros for an empty text.

    The tokenizer sees word after word and each word once: its tokens never cross a space, and a known word costs
    50 ns. (Its own batches start a thread pool, which does not survive a fork.)
    """

    def __init__(self, weights: NDArray[np.float32], tokenizer: Any) -> None:
        self._weights = weights  # (tokens, d)
        self._tokenizer = tokenizer
        self._words: dict[str, list[int]] = {}
        self.size = int(weights.shape[1])

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts as they are: case and punctuation tell words apart."""
        tokens = [self._tokens(text) for text in texts]
        sums: NDArray[np.float32]
        if len(texts) == 1:
            sums = self._weights[tokens[0]].sum(axis=0)[None, :]
        else:
            flat = [token for row in tokens for token in row]
            starts = np.cumsum([0, *map(len, tokens)])
            ones = np.ones(len(flat), np.float32)
            sums = sparse.csr_array((ones, flat, starts), shape=(len(texts), len(self._weights))) @ self._weights
        length = np.sqrt(np.einsum("nd,nd->n", sums, sums))
        sums /= np.where(length > 0, length, 1.0)[:, None]
        return sums

    def shares(self, text: str, direction: NDArray[np.float32]) -> list[float]:
        """What each word (as `str.split` gives them) adds to the product of the text's vector with a direction."""
        rows = [self._weights[self._tokens(word)].sum(axis=0) for word in text.split()]
        if not rows:
            return []
        length = float(np.linalg.norm(np.sum(rows, axis=0)))
        return [float(row @ direction) / (length or 1.0) for row in rows]

    def _tokens(self, text: str) -> list[int]:
        tokens: list[int] = []
        for word in text.split():
            known = self._words.get(word)
            if known is None:
                known = self._encode(word)
                if len(word) <= _LONGEST:
                    if len(self._words) >= _MAX_WORDS:
                        self._words.clear()
                    self._words[word] = known
            tokens += known
        return tokens

    def _encode(self, word: str) -> list[int]:
        # in pieces, because the tokenizer takes 0.6 s for one word of 20,000 signs
        pieces = (word[start : start + _PIECE] for start in range(0, len(word), _PIECE))
        return [token for piece in pieces for token in self._tokenizer.encode(piece, add_special_tokens=False).ids]


@lru_cache(maxsize=1)
def word_vectors() -> WordVectors:
    """The vectors, read once a process in about 0.1 s; BackendError says so when the wheel is not there."""
    # reason: imports that serving an image project never needs
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    home = _home()
    (weights,) = load_file(home / _WEIGHTS).values()
    tokenizer = Tokenizer.from_file(str(home / _TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return WordVectors(weights.astype(np.float32), tokenizer)


def _home() -> Path:
    spec = find_spec("wordllama")  # finds the folder without running the package, which would look for the network
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / _WEIGHTS).is_file() and (Path(folder) / _TOKENIZER).is_file():
            return Path(folder)
    raise BackendError(
        "the word vectors are not installed: no weights in a package called wordllama.",
        hint="Run: pip install 'wordllama>=0.4' (its wheel carries the weights; nothing is downloaded later).",
    )
