"""Indicators as numeric features: what reviewers recorded about the customer of a task."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ml_backend.records import INDICATORS_KEY, Indicators

_MOST_OPTIONS = 100  # options of one indicator that become columns; the most frequent ones
_FAR = 3.0  # standard deviations beyond which a number says no more


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a model has for indicators, as its training rows had them.

    Each indicator has one column that says whether it is known at all; a number has one more (standard deviations
    from the mean, cut at three, as thirds), a text one for each option seen in training. Nothing known is all zeros.
    """

    numbers: tuple[tuple[str, float, float], ...] = ()  # indicator, mean, standard deviation
    options: tuple[tuple[str, tuple[str, ...]], ...] = ()  # indicator, options

    @property
    def names(self) -> tuple[str, ...]:
        """What each column is, in words: "fraud = card"."""
        named: list[str] = []
        for name, _mean, _spread in self.numbers:
            named += [f"{name} is known", name]
        for name, options in self.options:
            named += [f"{name} is known", *(f"{name} = {option}" for option in options)]
        return tuple(named)

    def matrix(self, data: Sequence[Mapping[str, Any]]) -> NDArray[np.float32]:
        """(n, b) each within [-1, 1]; a value that training never saw says only that something is known."""
        table = np.zeros((len(data), len(self.names)), np.float32)
        for row, item in enumerate(data):
            if indicators := _indicators_of(item):
                self._fill(table[row], indicators)
        return table

    def parts(self, item: Mapping[str, Any], weights: NDArray[np.float32]) -> Iterator[tuple[str, float]]:
        """(name, value times weight) of each column (b,) that is not zero."""
        for name, value, weight in zip(self.names, self.matrix([item])[0], weights, strict=True):
            if value:
                yield name, float(value * weight)

    def state(self) -> list[list[Any]]:
        """Plain JSON, for an artefact."""
        return [[list(one) for one in self.numbers], [[name, list(options)] for name, options in self.options]]

    @staticmethod
    def load(state: Any) -> Columns:
        """Read what `state` wrote; TypeError or ValueError where it is something else."""
        numbers, options = state
        return Columns(
            tuple((str(name), float(mean), float(spread)) for name, mean, spread in numbers),
            tuple((str(name), tuple(map(str, given))) for name, given in options),
        )

    def _fill(self, row: NDArray[np.float32], indicators: Indicators) -> None:
        at = 0
        for name, mean, spread in self.numbers:
            value = indicators.get(name)
            if _is_number(value):
                row[at] = 1.0
                row[at + 1] = np.clip((value - mean) / spread, -_FAR, _FAR) / _FAR
            at += 2
        for name, options in self.options:
            said = _texts(indicators.get(name))
            row[at] = bool(said)
            row[at + 1 : at + 1 + len(options)] = [option in said for option in options]
            at += 1 + len(options)


def fit_indicator_columns(data: Sequence[Mapping[str, Any]]) -> Columns:
    """The columns that these training rows call for; the same for the same rows in any order.

    >>> from ml_backend.records import with_indicators
    >>> rows = [with_indicators({}, {"risk": 1.0, "fraud": "card"}), with_indicators({}, {"risk": 3.0}), {}]
    >>> made = fit_indicator_columns(rows)
    >>> made.names
    ('risk is known', 'risk', 'fraud is known', 'fraud = card')
    >>> made.matrix(rows).round(2).tolist()
    [[1.0, -0.33000001311302185, 1.0, 1.0], [1.0, 0.33000001311302185, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    """
    numbers: dict[str, list[float]] = {}
    options: dict[str, dict[str, int]] = {}
    for item in data:
        for name, value in _indicators_of(item).items():
            if _is_number(value):
                numbers.setdefault(name, []).append(float(value))
            for text in _texts(value):
                counts = options.setdefault(name, {})
                counts[text] = counts.get(text, 0) + 1
    return Columns(
        tuple((name, *_spread(values)) for name, values in sorted(numbers.items())),
        tuple((name, _frequent(counts)) for name, counts in sorted(options.items())),
    )


def _indicators_of(item: Mapping[str, Any]) -> Indicators:
    found = item.get(INDICATORS_KEY) if isinstance(item, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, (list, tuple)) else ()


def _spread(values: Sequence[float]) -> tuple[float, float]:
    ordered = np.sort(np.asarray(values))  # sums depend on the order
    return float(ordered.mean()), float(ordered.std()) or 1.0


def _frequent(counts: Mapping[str, int]) -> tuple[str, ...]:
    best = sorted(counts, key=lambda option: (-counts[option], option))[:_MOST_OPTIONS]
    return tuple(sorted(best))
