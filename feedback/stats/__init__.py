"""Statistics of the product in numpy and scipy alone: intervals, e-values, gates, certificates, keyed draws."""

from feedback.stats.estimates import Interval, Verdict

__all__ = ["Interval", "Verdict"]
