"""What a score means: scalers that turn a model's probabilities into the share of times it is right."""

from .choose import fit_scaler, fit_temperature
from .error import Reliability, ece, reliability
from .scaler import Scaler

__all__ = ["Reliability", "Scaler", "ece", "fit_scaler", "fit_temperature", "reliability"]
