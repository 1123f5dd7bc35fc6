"""What differs between two policies, key by key and in words; and a policy as the text of a file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from feedback.policy.schema import Policy
from ml_backend.printable import NOT_ASCII_CONTROLS

_LISTS = {"routing": "id", "labelling_functions": "name"}  # lists of tables, by the key that names an entry
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_NOT_ASCII_CONTROLS = re.compile(f"[{NOT_ASCII_CONTROLS}]")
_MAX_KEYS = 20  # in one sentence
_Table = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One key that differs; of a table that only one of the policies has, the table itself."""

    key: str  # "queue.window", "tiers.L2", "routing.big.when"
    kind: Literal["changed", "added", "removed", "order"]
    before: Any  # of a table that only one of them has: what is set in it
    after: Any

    @property
    def sentence(self) -> str:
        """Return the change in words.

        >>> KeyChange("queue.window", "changed", 500, 300).sentence
        'queue.window: 500 -> 300'
        """
        if self.kind == "order":
            return f"{self.key}: the order is now {', '.join(self.after)}"
        if self.kind == "changed":
            return f"{self.key}: {_text(self.before)} -> {_text(self.after)}"
        if self.kind == "removed":
            return f"{self.key} is removed"
        inside = _text(self.after)
        if isinstance(self.after, Mapping):
            inside = ", ".join(f"{_key(key)} = {_text(value)}" for key, value in self.after.items())
        return f"{self.key} is new{f': {inside}' if inside else ''}"

    @property
    def keys(self) -> list[str]:
        """Return the keys that this changes; of a whole table those that are set in it."""
        table = self.after if self.kind == "added" else self.before if self.kind == "removed" else None
        return [f"{self.key}.{key}" for key in table] if isinstance(table, Mapping) else [self.key]


def list_changes(before: Policy, after: Policy) -> list[KeyChange]:
    """Return every key in which two policies differ, in the order of the file; [] where their hashes are equal.

    >>> from feedback.policy import read_policy
    >>> new = read_policy("[queue]\\nwindow = 300\\n[tiers.L1]\\n[tiers.L2]\\nblind = true")
    >>> [change.sentence for change in list_changes(Policy(), new)]
    ['queue.window: 500 -> 300', 'tiers.L2 is new: blind = true']
    """
    given = (_as_tables(policy, exclude_defaults=True) for policy in (before, after))
    return list(_compare((), _as_tables(before), _as_tables(after), *given))


def describe_other_keys(changes: Collection[KeyChange], covered: Collection[str]) -> str:
    """Return the changed keys that none of the patterns in `covered` matches, such as "tiers.*.panel"; "" for none."""
    keys = dict.fromkeys(key for change in changes for key in change.keys)
    others = [key for key in keys if not any(fnmatchcase(key, pattern) for pattern in covered)]
    more = f" and {len(others) - _MAX_KEYS} more" if len(others) > _MAX_KEYS else ""
    return ", ".join(others[:_MAX_KEYS]) + more


def policy_to_toml(policy: Policy) -> str:
    """Return a policy as the text of a file with the same hash; keys that have their default are left out.

    >>> from feedback.policy import read_policy
    >>> print(policy_to_toml(read_policy("[audit]\\nshare = 0.2\\n[reasons]\\nother = 'Other'")), end="")
    version = 1
    <BLANKLINE>
    [audit]
    share = 0.2
    <BLANKLINE>
    [reasons]
    other = "Other"
    """
    body = policy.model_dump(mode="json", exclude_defaults=True, exclude_none=True) | {"version": policy.version}
    for place, tier in enumerate(body.get("tiers", {}).values()):
        if tier.get("place", 0) == place:
            tier.pop("place", None)  # the order of the file says it
    blocks = [f"version = {body.pop('version')}"]
    for section, value in body.items():
        if isinstance(value, list):
            blocks += [_block(f"[[{section}]]", entry) for entry in value]
        elif value and all(isinstance(entry, Mapping) for entry in value.values()):
            blocks += [_block(f"[{section}.{_key(name)}]", entry) for name, entry in value.items()]
        elif value:
            blocks.append(_block(f"[{section}]", value))
    return "\n\n".join(blocks) + "\n"


def _as_tables(policy: Policy, **options: bool) -> dict[str, Any]:
    """Return a policy as tables of tables: the entries of lists by their name, and the order of named tables."""
    body = policy.model_dump(mode="json", **options)  # type: ignore[arg-type]
    for section, key in _LISTS.items():
        body[section] = {entry[key]: {**entry} for entry in body.get(section, ())}
        for entry in body[section].values():
            del entry[key]
    for tier in body.get("tiers", {}).values():
        tier.pop("place", None)
    return body


def _compare(
    path: tuple[str, ...], before: _Table, after: _Table, given_before: _Table, given_after: _Table
) -> Iterator[KeyChange]:
    """Compare two tables; the given ones have only what is not the default."""
    for name in dict.fromkeys([*before, *after]):
        key, old, new = ".".join((*path, name)), before.get(name), after.get(name)
        if name not in after:
            yield KeyChange(key, "removed", given_before.get(name, old), None)
        elif name not in before:
            yield KeyChange(key, "added", None, given_after.get(name, new))
        elif isinstance(old, Mapping) and isinstance(new, Mapping) and name != "when":
            given = given_before.get(name, {}), given_after.get(name, {})
            yield from _compare((*path, name), old, new, *given)
        elif old != new:
            yield KeyChange(key, "changed", old, new)
    common = [name for name in before if name in after], [name for name in after if name in before]
    if path in (("routing",), ("tiers",)) and common[0] != common[1]:
        yield KeyChange(path[0], "order", list(before), list(after))


def _block(header: str, table: Mapping[str, Any]) -> str:
    return "\n".join([header, *(f"{_key(key)} = {_text(value)}" for key, value in table.items())])


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _text(name)


def _text(value: Any) -> str:
    """Return a value as TOML writes it on one line.

    >>> _text({"in": ["a", 'b"'], "data": {"n": {"gte": 0.5, "lt": 2}}, "é": True})
    '{ in = ["a", "b\\\\""], data.n.gte = 0.5, data.n.lt = 2, "é" = true }'
    """
    if value is None:
        return "not set"
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        return _NOT_ASCII_CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)  # JSON escapes those of ASCII
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_inner_keys(value))} }}" if value else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value)


def _inner_keys(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield the keys of a table within a line, those of tables inside it with dots."""
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _inner_keys(value, f"{prefix}{_key(key)}.")
        else:
            yield f"{prefix}{_key(key)} = {_text(value)}"
