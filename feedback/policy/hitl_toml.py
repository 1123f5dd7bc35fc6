"""Load a policy, from a file or from the store, with an error message for every wrong key; write one as a file."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from feedback.errors import PolicyError
from feedback.policy.field_types import NAME, percent_hint
from feedback.policy.key_positions import KeyPath, KeyPositions, describe_offset, find_last_key
from feedback.policy.schema import Policy, PolicyProblems
from ml_backend.clean_text import decode_text
from ml_backend.left_out import describe_error

_ORDER = "order"  # an added key for the order of keys, because the store sorts the keys of JSON
_PLACE = re.compile(r"line (\d+), column (\d+)\)")  # in a message of tomllib
_IN_ORDER = ("reasons", "feedback")  # tables that reviewers read from top to bottom


def read_policy(text: str, *, source: str = "hitl.toml") -> Policy:
    """Return the policy in the text of a policy file; PolicyError names each wrong key, its line and its column.

    >>> read_policy("[audit]\\nshare = 0.2").audit.share
    0.2
    >>> read_policy("[audit]\\nshaer = 0.2")
    Traceback (most recent call last):
    feedback.errors.PolicyError: hitl.toml: line 2, column 1: audit.shaer is not a key; did you mean audit.share?
    """
    positions = read_positions(text, source=source)
    try:
        return Policy.model_validate(positions.raw)
    except ValidationError as error:
        raise PolicyError(f"{source}: {_describe(error, positions)}") from None
    except Exception as error:
        raise PolicyError(f"{source} cannot be read: {describe_error(error)}.") from error


def read_positions(text: str, *, source: str = "hitl.toml") -> KeyPositions:
    """Return where each key of a policy file is; PolicyError where the text is not TOML."""
    try:
        return KeyPositions.read(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{source}: {_describe_syntax(str(error), text)}") from None
    except Exception as error:  # noqa: BLE001 - RecursionError at 1,000 brackets, or whatever a text makes it raise
        raise PolicyError(f"{source} is not TOML that can be read: {type(error).__name__}.") from None


def read_policy_file(path: Path) -> Policy:
    """Return the policy in a file; PolicyError where it cannot be read or is not valid."""
    return read_policy(read_policy_text(path), source=path.name)


def read_policy_text(path: Path) -> str:
    """Return the text of a policy file; PolicyError where it cannot be read."""
    try:
        return decode_text(path.read_bytes())
    except OSError as error:
        raise PolicyError(f"{path} cannot be read: {error.strerror}.", hint="Give the path of a policy file.") from None
    except UnicodeDecodeError:
        raise PolicyError(f"{path} is not text in UTF-8.", hint="Save it as UTF-8, which TOML needs.") from None
    except ValueError:  # a NUL in the path
        raise PolicyError(f"{path} is not a path.", hint="Give the path of a policy file.") from None


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """Return a policy for the store."""
    return policy.model_dump(mode="json") | {_ORDER: {name: list(getattr(policy, name)) for name in _IN_ORDER}}


def policy_from_json(body: Mapping[str, Any], what: str) -> Policy:
    """Return a policy from the store; PolicyError about `what` where this version cannot read it."""
    stored = dict(body)
    for name, order in stored.pop(_ORDER, {}).items():
        stored[name] = {key: stored[name][key] for key in order}
    try:
        return Policy.model_validate(stored)
    except ValidationError as error:
        hint = "A newer or older version has stored it: activate a policy file with this version."
        raise PolicyError(f"{what} cannot be read: {_describe(error)}", hint=hint) from None


def _describe(error: ValidationError, positions: KeyPositions | None = None) -> str:
    """Return all problems of a policy as sentences, each after its line and column in the file."""
    found = []
    for item in error.errors():
        path: KeyPath = tuple(part for part in item["loc"] if part != "[key]")
        cause = item.get("ctx", {}).get("error")
        problems = cause.problems if isinstance(cause, PolicyProblems) else [(path, _sentence(item))]
        for place, sentence in problems:
            where = positions.describe(positions.refine(place, sentence)) if positions else ""
            found.append(f"{where}: {sentence}" if where else sentence)
    return "; ".join(found)


def _describe_syntax(message: str, text: str) -> str:
    """Return where a text is not TOML, and why: what tomllib says, or which key was given twice."""
    text = text.replace("\r\n", "\n")
    what, _, place = message.rpartition(" (at ")
    end = len(text)  # "end of document"
    if found := _PLACE.fullmatch(place):
        end = sum(len(line) + 1 for line in text.split("\n")[: int(found[1]) - 1]) + int(found[2]) - 1
    if what.startswith(("Cannot overwrite", "Cannot declare")):  # tomllib gives the end of the value
        path, end = find_last_key(text[:end])
        what = f"{'.'.join(map(str, path))}, or a part of it, was given before"
    sign = text[end : end + 1]
    odd = "" if sign.isascii() else f"; {sign!r} stands there"  # a space or a quote that looks like the right one
    return f"{describe_offset(text, end)}: it is not TOML: {what}{odd}"


def _sentence(item: Any) -> str:
    where = [str(part) for part in item["loc"] if part != "[key]"]
    dotted = ".".join(where)
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        near = get_close_matches(where[-1], _keys(item["loc"][:-1]), n=1)
        suggestion = f"; did you mean {'.'.join([*where[:-1], near[0]])}?" if near else ""
        return f"{dotted} is not a key{suggestion}"
    if item["type"] == "missing":
        return f"{dotted} is missing"
    if item["type"] == "too_short" and item["input"] in ((), [], {}):
        return f"{dotted} is empty; remove it, or add at least one"
    if item["type"] == "tuple_type" and isinstance(item["input"], dict):
        return f"{dotted} is one table; wanted a list of them, each under [[{dotted}]]"
    if item["type"] == "string_pattern_mismatch" and item["ctx"]["pattern"] == NAME:
        return f"{dotted} is {item['input']!r:.80}; a name has up to 64 letters from a to z, digits, _ and -"
    if item["type"] == "value_error":
        return f"{dotted}: {message}" if dotted else message
    highest, given = item.get("ctx", {}).get("le", item.get("ctx", {}).get("lt", math.inf)), item["input"]
    hint = percent_hint(given, highest) if isinstance(given, (int, float)) and isinstance(highest, float) else ""
    return f"{dotted} is {given!r:.80}; {message[0].lower()}{message[1:]}{hint}"


def _keys(path: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the section at a path through tables and lists of the file."""
    section: Any = Policy
    for part in path:
        fields = getattr(section, "model_fields", None)
        if fields is not None:
            section = fields[part].annotation if part in fields else None
        else:  # a table of tables, or a list of them
            section = next((item for item in get_args(section) if hasattr(item, "model_fields")), None)
    return list(getattr(section, "model_fields", {}))
