"""Statistics of the product in numpy and scipy alone: intervals, e-values, gates, certificates, keyed draws."""
