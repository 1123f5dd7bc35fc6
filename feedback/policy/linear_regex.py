"""Regular expressions that match in time linear in the text, so that no text can stop the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

_MAX_PATTERN_LENGTH = 1000  # characters
_MAX_TEXT_LENGTH = 100_000  # characters of a text that are searched


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that may match anywhere in a text.

    The engine is Rust's `regex` crate, which comes with pydantic. It does not backtrack, so look-around and
    back-references are not supported; a pattern that compiles to more than 10 MB is refused.

    Raises
    ------
    ValueError
        When the pattern is empty, too long or not valid.

    Examples
    --------
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
