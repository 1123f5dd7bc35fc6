"""Indicators as numeric features: what reviewers recorded about the customer of a task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ml_backend.records import INDICATORS_KEY, Indicators

_MAX_OPTIONS = 100  # options of one indicator that get a column; the most frequent ones
_MAX_DEVIATIONS = 3.0  # numbers are cut at this many standard deviations


@dataclass(frozen=True, slots=True)
class IndicatorColumns:
    """The columns that a model has for indicators, as its training rows had them.

    Each indicator has one column that says whether it has a value. A number has one more: its distance from the mean
    in standard deviations, cut at 3 and divided by 3. A text has one more for each option of the training rows.
    """

    numbers: tuple[tuple[str, float, float], ...] = ()  # indicator, mean, standard deviation
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()  # indicator, options

    @property
    def names(self) -> tuple[str, ...]:
        """Return what each column means, such as "fraud = card"."""
        of_numbers = [column for name, _, _ in self.numbers for column in (f"{name} is known", name)]
        of_options = [[f"{name} is known", *(f"{name} = {text}" for text in texts)] for name, texts in self.options]
        return (*of_numbers, *chain.from_iterable(of_options))

    def matrix(self, data: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """Return the columns of each task, shape (n, b), in [-1, 1]; an unseen option sets only the first column."""
        table = np.zeros((len(data), len(self.names)), np.float32)
        for row, item in enumerate(data):
            if indicators := _indicators_of(item):
                self._fill(table[row], indicators)
        return table

    def contributions(self, item: Mapping[str, Any], weights: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        """Yield (name, value * weight) of each column that is not zero; `weights` has shape (b,)."""
        for name, value, weight in zip(self.names, self.matrix([item])[0], weights, strict=True):
            if value:
                yield name, float(value * weight)

    def state(self) -> list[list[Any]]:
        """Return JSON values, for an artefact."""
        return [[list(number) for number in self.numbers], [[name, list(options)] for name, options in self.options]]

    @staticmethod
    def load(state: Any) -> IndicatorColumns:
        """Build the columns of a `state()`; TypeError or ValueError where it is not one."""
        numbers, options = state
        return IndicatorColumns(
            tuple((str(name), float(mean), float(spread)) for name, mean, spread in numbers),
            tuple((str(name), tuple(map(str, texts))) for name, texts in options),
        )

    def _fill(self, row: NDArray[np.float32], indicators: Indicators) -> None:
        column = 0
        for name, mean, spread in self.numbers:
            value = indicators.get(name)
            if _is_number(value):
                row[column] = 1.0
                row[column + 1] = np.clip((value - mean) / spread, -_MAX_DEVIATIONS, _MAX_DEVIATIONS) / _MAX_DEVIATIONS
            column += 2
        for name, options in self.options:
            texts = _texts(indicators.get(name))
            row[column] = bool(texts)
            row[column + 1 : column + 1 + len(options)] = [option in texts for option in options]
            column += 1 + len(options)


def fit_indicator_columns(data: Sequence[Mapping[str, Any]]) -> IndicatorColumns:
    """Return the columns for these training rows; the order of the rows does not matter.

    >>> from ml_backend.records import with_indicators
    >>> rows = [with_indicators({}, {"risk": 1.0, "fraud": "card"}), with_indicators({}, {"risk": 3.0}), {}]
    >>> columns = fit_indicator_columns(rows)
    >>> columns.names
    ('risk is known', 'risk', 'fraud is known', 'fraud = card')
    >>> columns.matrix(rows).round(2).tolist()
    [[1.0, -0.33000001311302185, 1.0, 1.0], [1.0, 0.33000001311302185, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    numbers: dict[str, list[float]] = {}
    options: dict[str, Counter[str]] = {}
    for item in data:
        for name, value in _indicators_of(item).items():
            if _is_number(value):
                numbers.setdefault(name, []).append(float(value))
            if texts := _texts(value):
                options.setdefault(name, Counter()).update(texts)
    return IndicatorColumns(
        tuple((name, *_spread(values)) for name, values in sorted(numbers.items())),
        tuple((name, _frequent(counts)) for name, counts in sorted(options.items())),
    )


def _indicators_of(item: Mapping[str, Any]) -> Indicators:
    # dict first, and None before it: the check of an abstract class is slow, and most tasks have no indicators
    found = item.get(INDICATORS_KEY) if isinstance(item, (dict, Mapping)) else None
    return found if found is not None and isinstance(found, (dict, Mapping)) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, (list, tuple)) else ()


def _spread(values: Sequence[float]) -> tuple[float, float]:
    ordered = np.sort(np.asarray(values))  # sums depend on the order
    return float(ordered.mean()), float(ordered.std()) or 1.0


def _frequent(counts: Counter[str]) -> tuple[str, ...]:
    return tuple(sorted(sorted(counts, key=lambda option: (-counts[option], option))[:_MAX_OPTIONS]))
