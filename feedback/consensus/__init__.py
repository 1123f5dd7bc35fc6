"""What people say together: `Votes` in, `Consensus` out, one method a file."""

from __future__ import annotations

from collections.abc import Mapping

from feedback.consensus.calibration import calibrated, calibration_error
from feedback.consensus.choosing import Choice, auto
from feedback.consensus.dawid_skene import dawid_skene, hierarchical
from feedback.consensus.majority import majority
from feedback.consensus.record import Consensus
from feedback.consensus.weighing import one_coin, weighted
from feedback.votes import Votes

__all__ = [
    "BUILTINS",
    "Choice",
    "Consensus",
    "Votes",
    "auto",
    "calibrated",
    "calibration_error",
    "dawid_skene",
    "hierarchical",
    "majority",
    "one_coin",
    "weighted",
]

# Votes in, Consensus out; more through the entry-point group "hitl.consensus"
BUILTINS: Mapping[str, str] = {
    "majority": "feedback.consensus.majority:majority",
    "dawid_skene": "feedback.consensus.dawid_skene:dawid_skene",
    "hierarchical": "feedback.consensus.dawid_skene:hierarchical",
    "one_coin": "feedback.consensus.weighing:one_coin",
    "weighted": "feedback.consensus.weighing:weighted",
}
