"""Helpers of all codecs: read and check fields of a region, and make a region."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from ml_backend.errors import CodecError
from ml_backend.label_config import Control


def region_value(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the value of a region; CodecError where it has none."""
    value = region.get("value")
    if not isinstance(value, Mapping):
        raise CodecError("a region has no value")
    return value


def read_number(value: Mapping[str, Any], name: str) -> float:
    """Return a field as a finite float; CodecError for anything else, also for a bool."""
    field = value.get(name)
    if isinstance(field, bool) or not isinstance(field, (int, float)):
        raise CodecError(f"{name} is {_short(field)}, wanted a number")
    try:
        number = float(field)
    except OverflowError as error:
        raise CodecError(f"{name} has hundreds of digits; wanted a smaller number") from error
    if not math.isfinite(number):
        raise CodecError(f"{name} is {_short(field)}, wanted a finite number")
    return number


def read_labels(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field as labels; CodecError where it is not a list of at least one text."""
    field = value.get(name)
    if not isinstance(field, list) or not field or not all(isinstance(label, str) for label in field):
        raise CodecError(f"{name} is {_short(field)}, wanted a list of labels")
    return tuple(field)


def jaccard_distance(left: AbstractSet[object], right: AbstractSet[object]) -> float:
    """Return one minus the index of Jaccard (1912): shared elements divided by all; 0 for two empty sets."""
    return 1.0 - len(left & right) / len(left | right) if left | right else 0.0


def make_region(
    control: Control, kind: str, value: Mapping[str, Any], score: float | None, *, named: bool = False
) -> dict[str, Any]:
    """Return a region as Label Studio's editor writes it; `named` adds an id, which spans and boxes need."""
    region: dict[str, Any] = {
        "from_name": control.name,
        "to_name": control.to_name.split(",", 1)[0],  # Label Studio drops a prediction that names two objects
        "type": kind,
        "value": dict(value),
    }
    if named:
        text = json.dumps([control.name, kind, region["value"]], sort_keys=True)
        region["id"] = hashlib.sha256(text.encode()).hexdigest()[:10]
    if score is not None:
        region["score"] = round(score, 6)
    return region


def _short(field: object) -> str:
    return repr(field)[:40]
