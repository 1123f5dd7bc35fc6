"""What every section of the policy is made of: strict tables, shares, names and durations."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

_PARTS = re.compile(r"(\d{1,6})([smhd])")  # one part of a duration; no nesting, so linear
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 3650 * 86_400  # what is later has no date that anybody could be told


class Section(BaseModel):
    """A table of the file: unknown keys are refused, values are never converted, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def seconds(duration: str) -> float:
    """Give the seconds of a duration: "90s", "30m", "4h", "1h30m", "2d"; "" is 0.

    >>> seconds("1h30m"), seconds("2d")
    (5400.0, 172800.0)
    """
    at, total = 0, 0
    while at < len(duration):
        part = _PARTS.match(duration, at)
        if part is None:
            raise ValueError(f'{duration!r} is no duration; wanted one such as "90s", "30m", "4h", "1h30m" or "2d"')
        total += int(part[1]) * _SECONDS[part[2]]
        at = part.end()
    if total > _LONGEST_S:
        raise ValueError(f"{duration!r} is longer than ten years")
    return float(total)


def _checked(duration: str) -> str:
    seconds(duration)
    return duration


Share = Annotated[float, Field(ge=0.0, le=1.0)]
Duration = Annotated[  # "": none; `seconds` reads it
    str, AfterValidator(_checked), WithJsonSchema({"type": "string", "pattern": r"^([0-9]{1,6}[smhd])*$"})
]
NAME = r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]  # of a rule, tier, calendar, reason or signal
Names = Annotated[tuple[Name, ...], Field(strict=False)]
Texts = Annotated[tuple[str, ...], Field(strict=False)]  # TOML has lists only
Money = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
