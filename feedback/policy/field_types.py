"""The types that all sections of hitl.toml share: strict tables, shares, names and durations."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

_PARTS = re.compile(r"(\d{1,6})([smhd])")  # one part of a duration; no nesting, so linear
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_S = 3650 * 86_400  # later dates may not be representable


class Section(BaseModel):
    """A table of the file: frozen, without unknown keys, and without conversion of values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse_duration_s(duration: str) -> float:
    """Return the seconds of a duration such as "90s", "30m", "1h30m" or "2d"; 0 for "".

    Examples
    --------
    >>> parse_duration_s("1h30m"), parse_duration_s("2d")
    (5400.0, 172800.0)
    """
    position, total = 0, 0
    while position < len(duration):
        part = _PARTS.match(duration, position)
        if part is None:
            raise ValueError(
                f'{duration!r} is no duration; wanted a duration such as "90s", "30m", "4h", "1h30m" or "2d"'
            )
        total += int(part[1]) * _SECONDS[part[2]]
        position = part.end()
    if total > _MAX_S:
        raise ValueError(f"{duration!r} is longer than ten years")
    return float(total)


def _validate_duration(duration: str) -> str:
    parse_duration_s(duration)
    return duration


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Duration = Annotated[  # "": none; `parse_duration_s` reads it
    str, AfterValidator(_validate_duration), WithJsonSchema({"type": "string", "pattern": r"^([0-9]{1,6}[smhd])*$"})
]
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]  # of a rule, tier, calendar, reason or signal
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has lists only
Money = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
