"""The types that the sections of hitl.toml share: strict tables, shares, names, durations and patterns."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic_core import SchemaError, SchemaValidator, core_schema

_PARTS = re.compile(r"(\d{1,6})([smhd])")  # one part of a duration; no nesting, so linear
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_S = 3650 * 86_400  # later dates may not be representable
_MAX_PATTERN_LENGTH = 1000  # characters
_MAX_TEXT_LENGTH = 100_000  # characters of a text that are searched


class Section(BaseModel):
    """A table of the file: frozen, without unknown keys, and without conversion of values."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def parse_duration_s(duration: str) -> float:
    """Return the seconds of a duration such as "1h30m" or "2d"; 0 for "". ValueError for others and above ten years.

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


def percent_hint(value: float, highest: float) -> str:
    """Return the hint for a percentage where a share or a probability is wanted; "" where it is none.

    >>> percent_hint(85, 1.0), percent_hint(85, 100.0)
    ('; 85 % is 0.85', '')
    """
    return f"; {value:g} % is {value / 100:g}" if highest <= 1.0 < value <= 100.0 else ""


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


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression that may match anywhere in a text, in time linear in the text: no text stops the service.

    The engine is Rust's `regex` crate, which comes with pydantic. It does not backtrack, so look-around and
    back-references are not supported; a pattern that compiles to more than 10 MB is refused.

    >>> Pattern("(?i)charge ?back")("A Chargeback!"), Pattern("^(a+)+$")("a" * 50_000 + "b")
    (True, False)
    """

    text: str
    _engine: Any = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > _MAX_PATTERN_LENGTH:
            raise ValueError(f"a pattern of {len(self.text)} characters; wanted 1 to {_MAX_PATTERN_LENGTH}")
        schema = core_schema.str_schema(pattern=self.text, regex_engine="rust-regex", strict=True)
        try:
            object.__setattr__(self, "_engine", SchemaValidator(schema))
        except SchemaError as error:
            lines = str(error).strip().splitlines()
            raise ValueError(f"pattern {self.text!r} cannot be used: {lines[-1].removeprefix('error: ')}") from None

    def __call__(self, text: str) -> bool:
        """Return whether the pattern matches in the first 100,000 characters of a text."""
        found: bool = self._engine.isinstance_python(text[:_MAX_TEXT_LENGTH])
        if not found and not text.isascii():  # the engine rejects lone surrogates: search again without them
            found = self._engine.isinstance_python(text[:_MAX_TEXT_LENGTH].encode("utf-8", "replace").decode())
        return found
