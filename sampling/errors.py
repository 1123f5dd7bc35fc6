"""Every error that sampling raises on purpose; one root, each named for the fact."""

from __future__ import annotations


class SamplingError(Exception):
    """The root: catch this to catch whatever sampling refuses."""

    hint = ""  # what to do next, shown beside the message

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.hint


class PoolError(SamplingError):
    """The arrays of a pool do not fit together, or hold what cannot be a probability, an age or a vector."""


class PlanError(SamplingError):
    """What was asked for makes no sense: a negative size, a share outside [0, 1]."""


class UnknownStrategy(SamplingError):
    """A strategy was asked for by a name that nothing has."""


class MissingInput(SamplingError):
    """A strategy needs arrays that this pool does not carry: vectors, or a committee."""

    hint = "Use the margin strategy, which needs probabilities only."


class StrategyError(SamplingError):
    """A strategy broke its contract: not one finite score per row."""

    hint = "Run sampling.testing.check_strategy over it; the message names the first breach."
