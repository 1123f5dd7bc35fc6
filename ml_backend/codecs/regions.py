"""What all codecs share: a region's value read with care, and a region written as Label Studio's editor does."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from ml_backend.errors import CodecError
from ml_backend.label_config import Control


def value_of(region: Mapping[str, Any]) -> Mapping[str, Any]:
    """The region's value; CodecError where it has none."""
    value = region.get("value")
    if not isinstance(value, Mapping):
        raise CodecError("a region has no value")
    return value


def number_of(value: Mapping[str, Any], name: str) -> float:
    """A finite number of a value, a bool is none."""
    found = value.get(name)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise CodecError(f"{name} is {_short(found)}, wanted a number")
    try:
        made = float(found)
    except OverflowError as error:
        raise CodecError(f"{name} is a number of hundreds of digits") from error
    if not math.isfinite(made):
        raise CodecError(f"{name} is {_short(found)}, wanted a finite number")
    return made


def labels_of(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The labels of a value, at least one."""
    found = value.get(name)
    if not isinstance(found, list) or not found or not all(isinstance(label, str) for label in found):
        raise CodecError(f"{name} is {_short(found)}, wanted a list of labels")
    return tuple(found)


def region(
    control: Control, kind: str, value: Mapping[str, Any], score: float | None, *, named: bool = False
) -> dict[str, Any]:
    """One region; `named` gives it an id of its own, the same for the same content (spans and boxes need one)."""
    made: dict[str, Any] = {
        "from_name": control.name,
        "to_name": control.to_name.split(",", 1)[0],  # Label Studio drops a prediction that names two objects
        "type": kind,
        "value": dict(value),
    }
    if named:
        text = json.dumps([control.name, kind, made["value"]], sort_keys=True)
        made["id"] = hashlib.sha256(text.encode()).hexdigest()[:10]
    if score is not None:
        made["score"] = round(score, 6)
    return made


def _short(found: object) -> str:
    return repr(found)[:40]
