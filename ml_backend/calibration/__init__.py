"""What a score means: scalers that turn a model's probabilities into the share of times it is right."""

from ml_backend.calibration.calibration_error import Reliability, ece, reliability
from ml_backend.calibration.calibrator_selection import fit_scaler, fit_temperature
from ml_backend.calibration.scaler import Scaler

__all__ = ["Reliability", "Scaler", "ece", "fit_scaler", "fit_temperature", "reliability"]
