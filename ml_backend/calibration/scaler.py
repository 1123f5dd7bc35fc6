"""A fitted calibrator: it moves probabilities, never the order of the classes within a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaler:
    """One of three: identity, a temperature, or a rising curve for the best class's probability.

    Columns keep their places; the best class stays the best; a row of NaN stays a row of NaN.

    >>> Scaler.temperature(2.0).apply(np.array([[0.9, 0.1]])).round(2)
    array([[0.75, 0.25]])
    """

    kind: str  # "identity", "temperature", "isotonic"
    degree: float = 1.0  # temperature: above 1 the model was too sure of itself
    given: tuple[float, ...] = ()  # isotonic: probabilities of the best class, rising
    meant: tuple[float, ...] = ()  # isotonic: how often it was right there

    @staticmethod
    def identity() -> Scaler:
        """Leave probabilities as they are."""
        return Scaler("identity")

    @staticmethod
    def temperature(degree: float) -> Scaler:
        """Divide log-probabilities by `degree` > 0. Guo et al. (2017)."""
        return Scaler("temperature", degree=degree)

    @staticmethod
    def isotonic(given: Floats, meant: Floats) -> Scaler:
        """Read the best class's probability off a rising curve through these points."""
        return Scaler("isotonic", given=tuple(map(float, given)), meant=tuple(map(float, meant)))

    def apply(self, proba: Floats) -> Floats:
        """(n, k) in, (n, k) out; rows sum to 1."""
        if self.kind == "identity" or not proba.size:
            return proba
        if self.kind == "temperature":
            return _tempered(proba, self.degree)
        return _topped(proba, np.interp(proba.max(axis=1), self.given, self.meant))

    def state(self) -> Mapping[str, Any]:
        """JSON values from which `Scaler(**state)` is equal to this one."""
        return {"kind": self.kind, "degree": self.degree, "given": list(self.given), "meant": list(self.meant)}

    @staticmethod
    def load(state: Mapping[str, Any]) -> Scaler:
        """The scaler of a `state()`; ValueError for one that would not keep the order of the classes."""
        given, meant = (tuple(map(float, state[name])) for name in ("given", "meant"))
        scaler = Scaler(str(state["kind"]), float(state["degree"]), given, meant)
        rising = all(list(points) == sorted(points) for points in (given, meant)) and len(given) == len(meant)
        known = scaler.kind in ("identity", "temperature") or (scaler.kind == "isotonic" and bool(given))
        if not (known and rising and scaler.degree > 0):
            raise ValueError(f"not a scaler: {scaler}")
        return scaler


def _tempered(proba: Floats, degree: float) -> Floats:
    # relative to the best class, so that a power never underflows all of a row
    with np.errstate(divide="ignore"):
        powered = np.exp((np.log(proba) - np.log(proba.max(axis=1, keepdims=True))) / degree)
    result: Floats = powered / powered.sum(axis=1, keepdims=True)
    return result


def _topped(proba: Floats, top: Floats) -> Floats:
    """Rows whose best class has probability `top` (n,), the others keeping their order.

    Up: the others share what is left as they did. Down: the row is mixed with the uniform one; both keep any order, and
    meet where nothing changes. Below 1 / k a best class would not be the best, so that is the floor.
    """
    k = proba.shape[1]
    if k < 2:
        return proba
    was = proba.max(axis=1)
    top = np.clip(top, 1.0 / k + _LEAD, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed = 1.0 / k + (proba - 1.0 / k) * ((top - 1.0 / k) / (was - 1.0 / k))[:, None]
        shrunk = proba * ((1.0 - top) / (1.0 - was))[:, None]
    best = np.where(np.isnan(proba), -1.0, proba).argmax(axis=1)
    shrunk[np.arange(len(proba)), best] = top
    result = np.where((top > was)[:, None], shrunk, mixed)
    flat = (was - 1.0 / k) < _LEAD  # no class stands out: there is nothing to move
    result[flat] = proba[flat]
    return result


_LEAD = 1e-6  # the least by which a best class stays ahead of chance
