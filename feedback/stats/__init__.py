"""How sure we may be: every interval, e-value and gate of the product, in numpy and scipy alone."""

from feedback.stats.results import Interval, Verdict

__all__ = ["Interval", "Verdict"]
