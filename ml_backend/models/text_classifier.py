"""The text classifier: TF-IDF of words and letters, and vectors of words or sentences, under logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ml_backend.errors import NotTrained
from ml_backend.features import sentence_vectors
from ml_backend.features.cache import FeatureCache
from ml_backend.features.task_columns import FieldRule, TaskColumns, fit_columns
from ml_backend.features.text import (
    BATCH,
    Terms,
    TextBlock,
    TextRow,
    inverse_document_frequency,
    read_text,
    text_block,
)
from ml_backend.features.vectors import word_vectors
from ml_backend.models import DEFAULT_FEATURES, Floats, Tasks, Vectors, name_with_features
from ml_backend.models.explanations import Contribution, sum_by_name, word_contributions
from ml_backend.models.logistic_regression import fit_logistic, softmax

_MIN_TERMS, _MAX_TERMS = 2_000, 50_000
_MANY_ROWS = 1_000  # from here on terms of a single row are dropped; they are most terms and teach nothing
_EPS = 1e-12  # avoids division by zero for a text without a known term
# words x classes, and runs of letters x classes: 8 MB of doubles each, of which the optimiser keeps about twenty copies
_MAX_COEFFICIENTS = 1_000_000
_WHOLE = "the text as a whole"  # as explanations call what sentence vectors contribute


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The terms that a model knows, words with pairs or runs of letters, and how much each tells."""

    codes: NDArray[Any]  # (m,) sorted
    idf: Vectors  # (m,)

    @classmethod
    def fit(cls, terms: Terms, *, n_classes: int) -> Vocabulary:
        """Return the terms of training rows, and of very many the most frequent ones."""
        n = len(terms.starts) - 1
        codes, frequency = np.unique(terms.codes, return_counts=True)
        if n >= _MANY_ROWS:
            codes, frequency = codes[frequency > 1], frequency[frequency > 1]
        limit = int(np.clip(_MAX_COEFFICIENTS // max(n_classes, 1), _MIN_TERMS, _MAX_TERMS))
        if len(codes) > limit:
            best = np.sort(np.lexsort((codes, -frequency))[:limit])
            codes, frequency = codes[best], frequency[best]
        return cls(codes, inverse_document_frequency(n, frequency))

    def tfidf(self, terms: Terms) -> Any:
        """Return sublinear counts times idf as a sparse matrix, shape (n, m), rows of length 1."""
        place, weights, starts = self.find(terms)
        return sparse.csr_array((weights, place, starts), shape=(len(terms.starts) - 1, len(self.codes)))

    def find(self, terms: Terms) -> tuple[NDArray[np.int64], Vectors, NDArray[np.int64]]:
        """Return the places in `codes` of the terms that are known, their weights, and where each text starts."""
        if not len(self.codes):
            return np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros_like(terms.starts)
        place = np.searchsorted(self.codes, terms.codes)
        place[place == len(self.codes)] = 0
        known = self.codes[place] == terms.codes
        place = place[known]
        weights = terms.weights[known] * self.idf[place]
        starts = np.concatenate([[0], np.cumsum(known)])[terms.starts]
        squares = np.concatenate([[0.0], np.cumsum(weights * weights)])[starts]
        weights /= np.repeat(np.sqrt(np.maximum(np.diff(squares), _EPS)), np.diff(starts))
        return place, weights.astype(np.float32), starts

    def contributions(self, terms: Terms, direction: Vectors) -> dict[int, float]:
        """Return what each known term of one text adds to its score along a direction, (m,), by its code."""
        place, weights, _ = self.find(terms)
        return dict(zip(self.codes[place].tolist(), (weights * direction[place]).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class TextReader:
    """How the texts of tasks become features."""

    field: str
    html: bool
    embedding: bool  # whether sentence vectors stand beside the word vectors
    cache: FeatureCache[TextRow] | None
    others: tuple[tuple[str, bool], ...] = ()  # fields of further texts that follow, and whether they are HTML

    def read(self, data: Tasks) -> tuple[list[str], NDArray[np.bool_]]:
        """Return the texts that can be read, and which rows have one, (n,)."""
        texts = [read_text(item, self.field, html=self.html) for item in data]
        for field, html in self.others:
            more = (read_text(item, field, html=html) for item in data)
            texts = [f"{text}\n{added}" if text and added else text for text, added in zip(texts, more, strict=True)]
        return [text for text in texts if text is not None], np.array([text is not None for text in texts], bool)

    def block(self, texts: Sequence[str]) -> TextBlock:
        """Return the features of texts; sentence vectors are columns to the right of the word vectors."""
        block = text_block(texts, self.cache)
        if not self.embedding:
            return block
        sentences = sentence_vectors.sentence_vectors(texts, self.cache)
        return replace(block, vectors=np.hstack([block.vectors, sentences]))

    def vectors(self, data: Tasks) -> Vectors:
        """Return the unit vectors that compare texts best, (n, 256), or (n, 512) of sentences; zeros without a text."""
        texts, readable = self.read(data)
        if self.embedding:
            found = sentence_vectors.sentence_vectors(texts, self.cache)
        else:
            found = text_block(texts, self.cache).vectors
        vectors = np.zeros((len(data), found.shape[1]), np.float32)
        vectors[readable] = found
        return vectors


class TextModel:
    """A fitted text classifier: about 0.2 ms for one short text, 50,000 short texts per second in bulk.

    With sentence vectors it takes about 2 ms for one short text.
    """

    def __init__(self, state: Mapping[str, Any], reader: TextReader) -> None:
        self._state = state
        self.card: Mapping[str, Any] = state.get("card", {})
        self._reader = reader
        self.classes: tuple[str, ...] = tuple(state["classes"])
        self._words = Vocabulary(state["codes"], state["idf"])
        self._grams = Vocabulary(state["grams"], state["idf_grams"])
        self._coef_terms: Vectors = state["coef_terms"]  # (m, k)
        self._coef_grams: Vectors = state["coef_grams"]  # (g, k)
        self._coef_vector: Vectors = state["coef_vector"]  # (d, k)
        self._intercept: Vectors = state["intercept"]  # (k,)
        self._columns = TaskColumns.load(state.get("columns", ((), ())))
        self._coef_indicators: Vectors = state.get("coef_indicators", np.zeros((0, len(self.classes)), np.float32))
        m, g, k, b = len(self._words.codes), len(self._grams.codes), len(self.classes), len(self._columns.names)
        # loaded now, so that the first request does not wait for the vectors
        d = reader.block(["any"]).vectors.shape[1]
        found = (self._words.idf, self._grams.idf, self._coef_terms, self._coef_grams, self._coef_vector)
        shapes = tuple(array.shape for array in (*found, self._intercept, self._coef_indicators))
        if not m or shapes != ((m,), (g,), (m, k), (g, k), (d, k), (k,), (b, k)):
            raise ValueError(f"shapes {shapes} do not fit {m} terms, {g} runs of letters, {d} numbers, {k} classes")

    def state(self) -> Mapping[str, Any]:
        return self._state

    def predict_proba(self, data: Tasks) -> Floats:
        proba = np.full((len(data), len(self.classes)), np.nan)
        for start in range(0, len(data), BATCH):
            part = data[start : start + BATCH]
            texts, readable = self._reader.read(part)
            if texts:
                scores = self._scores(self._reader.block(texts))
                if self._columns.names:
                    scores = scores + self._columns.matrix(part)[readable] @ self._coef_indicators
                proba[start : start + len(part)][readable] = softmax(scores)
        return proba

    def vectors(self, data: Tasks) -> Vectors:
        return self._reader.vectors(data)

    def explain(self, item: Mapping[str, Any], answer: str, other: str) -> list[Contribution]:
        """Return what each word, field and indicator contributed to class `answer` against class `other`."""
        texts, _ = self._reader.read([item])
        if not texts:
            return []
        first, second = self.classes.index(answer), self.classes.index(other)
        block = self._reader.block(texts)
        terms, grams = (
            vocabulary.contributions(found, coef[:, first] - coef[:, second])
            for vocabulary, found, coef in self._sparse_parts(block)
        )
        direction, d = self._coef_vector[:, first] - self._coef_vector[:, second], word_vectors().size
        words = [*word_contributions(texts[0], terms, grams, direction[:d])]
        if self._reader.embedding:
            words.append((_WHOLE, float(block.vectors[0, d:] @ direction[d:])))
        difference = self._coef_indicators[:, first] - self._coef_indicators[:, second]
        return sum_by_name([*words, *self._columns.contributions(item, difference)])

    def _sparse_parts(self, block: TextBlock) -> Iterator[tuple[Vocabulary, Terms, Vectors]]:
        yield self._words, block.terms, self._coef_terms
        yield self._grams, block.grams, self._coef_grams

    def _scores(self, block: TextBlock) -> Vectors:
        scores: Vectors = block.vectors @ self._coef_vector + self._intercept
        for vocabulary, terms, coef in self._sparse_parts(block):
            if len(block) == 1:  # building a sparse matrix takes longer than scoring one text
                place, weights, _ = vocabulary.find(terms)
                scores = scores + weights @ coef[place]
            else:
                scores = scores + vocabulary.tfidf(terms) @ coef
        return scores


class TextChoices:
    """The recipe for one label per text.

    With few rows, hardly a term occurs twice, so terms are scaled by 0.3 + n / 1000, at most 1; where they are many,
    vectors count for less (`_block_scales`). On six public sets (2 to 150 classes) this was as good as the better of
    terms and vectors at each size from 50 rows.
    """

    name = "text-choices/2"
    features = ("embedding",)
    html = False

    def __init__(
        self,
        *,
        features: str = DEFAULT_FEATURES,
        cache: FeatureCache[TextRow] | None = None,
        rule: FieldRule | None = None,
    ) -> None:
        is_extra = features != DEFAULT_FEATURES
        if is_extra:
            sentence_vectors.require_sentence_encoder()
        self._rule = rule or FieldRule()
        self.name = name_with_features(self.name, features) + self._rule.suffix
        self._embedding, self._cache = is_extra, cache

    def fit(
        self, data: Tasks, labels: Sequence[str], *, field: str, weights: Floats | None = None, seed: int = 0
    ) -> TextModel:
        """Fit on the rows that can be read; vocabulary and idf come from these rows alone."""
        reader = self._reader(field)
        texts, readable = reader.read(data)
        if not texts:
            raise NotTrained(f"none of {len(data)} rows has a text in the field {field!r}.")
        block, keep = reader.block(texts), np.flatnonzero(readable)
        answers = [labels[place] for place in keep]
        words, grams = (Vocabulary.fit(terms, n_classes=len(set(answers))) for terms in (block.terms, block.grams))
        others = [name for name, _ in reader.others]
        columns = fit_columns([data[place] for place in keep], self._rule, main=[field, *others], labels=answers)
        known = columns.matrix(data)[readable]
        sizes = len(words.codes), len(grams.codes), block.vectors.shape[1], known.shape[1]
        scale = _block_scales(len(block), sizes)
        terms = sparse.hstack([words.tfidf(block.terms), grams.tfidf(block.grams)], format="csr")
        terms.data *= scale[terms.indices]
        X = _hstack_sparse(terms, np.hstack([block.vectors, known]) * scale[terms.shape[1] :])
        classes, coef, intercept = fit_logistic(
            X, answers, weights=None if weights is None else weights[keep], seed=seed
        )
        coef_terms, coef_grams, coef_vector, coef_indicators = np.split(coef * scale[:, None], np.cumsum(sizes[:-1]))
        return TextModel(
            {
                "classes": classes,
                "field": field,
                "codes": words.codes,
                "idf": words.idf,
                "grams": grams.codes,
                "idf_grams": grams.idf,
                "coef_terms": coef_terms,
                "coef_grams": coef_grams,
                "coef_vector": coef_vector,
                "intercept": intercept,
                "columns": columns.state(),
                "others": [list(other) for other in reader.others],
                "card": columns.card(*others),
                "coef_indicators": coef_indicators,
            },
            reader,
        )

    def vectors(self, data: Tasks, *, field: str) -> Vectors:
        return self._reader(field).vectors(data)

    def load(self, state: Mapping[str, Any]) -> TextModel:
        others = tuple((str(name), bool(html)) for name, html in state.get("others", ()))
        return TextModel(state, replace(self._reader(state["field"]), others=others))

    def _reader(self, field: str) -> TextReader:
        others = tuple(other for other in self._rule.texts if other[0] != field and self._rule.allows(other[0]))
        return TextReader(field, self.html, self._embedding, self._cache, others)


class HypertextChoices(TextChoices):
    """The recipe for one label per HTML text; tags are removed."""

    name = "hypertext-choices/2"
    html = True


def _block_scales(n: int, sizes: tuple[int, int, int, int]) -> Vectors:
    """Return the scale of each feature for n rows, (d,): terms, runs of letters, vectors and indicators."""
    known = min(1.0, 0.3 + n / 1000)
    of_words = min(1.0, 0.5 / known)  # the more rows, the more terms are known, and the less a vector adds
    n_terms, n_grams, n_vector, n_indicators = sizes
    n_words = min(n_vector, word_vectors().size)
    lengths = n_terms, n_grams, n_words, n_vector - n_words, n_indicators
    return np.repeat([0.75 * known, 0.75 * known, of_words, of_words**0.5, 1.0], lengths).astype(np.float32)


def _hstack_sparse(terms: Any, dense: Vectors) -> Any:
    """Return a sparse matrix with dense columns to its right; several times faster than scipy's hstack."""
    n, d = dense.shape
    is_dense = np.repeat(np.tile([False, True], n), np.stack([np.diff(terms.indptr), np.full(n, d)], axis=1).ravel())
    values, places = np.empty(len(is_dense), np.float32), np.empty(len(is_dense), np.int32)
    values[is_dense], values[~is_dense] = dense.ravel(), terms.data
    places[is_dense], places[~is_dense] = np.tile(np.arange(d) + terms.shape[1], n), terms.indices
    starts = (terms.indptr + d * np.arange(n + 1)).astype(np.int32)
    return sparse.csr_array((values, places, starts), shape=(n, terms.shape[1] + d))
