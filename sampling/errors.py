"""The errors of sampling: one root, each named for what is wrong."""

from __future__ import annotations


class SamplingError(Exception):
    """The root of all errors that sampling raises on purpose."""

    hint = ""  # what to do next, shown after the message

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class PoolError(SamplingError):
    """The arrays of a pool do not fit together, or hold an impossible probability, age or vector."""


class PlanError(SamplingError):
    """A size is negative, or a share lies outside [0, 1]."""


class UnknownStrategy(SamplingError):
    """No strategy has this name."""


class MissingInput(SamplingError):
    """A strategy needs vectors or a committee, and the pool has none."""

    hint = "Use the margin strategy, which needs probabilities only."


class StrategyError(SamplingError):
    """A strategy did not return one finite score per row."""

    hint = "Run sampling.testing.check_strategy on it; the message names the first broken promise."
