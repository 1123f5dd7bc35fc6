"""Regular expressions that always end: matched in time linear in the text, whoever wrote the text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

_LONGEST = 1000  # characters of a pattern
_LONGEST_TEXT = 100_000  # characters of a task that are looked at


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is found anywhere in a text: `Pattern("(?i)charge ?back")`.

    The engine is Rust's `regex` crate, which pydantic brings along: no backtracking, so no look-around and no
    back-references; a pattern that compiles to more than 10 MB is refused. ValueError says what is wrong.

    >>> Pattern("(?i)charge ?back")("A Chargeback!"), Pattern("^(a+)+$")("a" * 50_000 + "b")
    (True, False)
    """

    text: str
    _engine: Any = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        if not self.text or len(self.text) > _LONGEST:
            raise ValueError(f"a pattern of {len(self.text)} characters; wanted 1 to {_LONGEST}")
        schema = core_schema.str_schema(pattern=self.text, regex_engine="rust-regex", strict=True)
        try:
            object.__setattr__(self, "_engine", SchemaValidator(schema))
        except SchemaError as error:
            lines = str(error).strip().splitlines()
            raise ValueError(f"pattern {self.text!r} cannot be used: {lines[-1].removeprefix('error: ')}") from None

    def __call__(self, text: str) -> bool:
        """Say whether the pattern is found in the first 100,000 characters of a text."""
        found: bool = self._engine.isinstance_python(text[:_LONGEST_TEXT])
        if not found and not text.isascii():  # a lone surrogate is no text to the engine: look once more without
            found = self._engine.isinstance_python(text[:_LONGEST_TEXT].encode("utf-8", "replace").decode())
        return found
