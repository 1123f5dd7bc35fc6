"""Where each key of a policy file is: its line and column, which tomllib does not keep."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

KeyPath = tuple[str | int, ...]  # keys of tables and indices of lists, from the top of the file

_TOKENS = re.compile(
    r'(?P<text>"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}" + r'|"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*')"
    r"|(?P<sign>[=\[\]{},.\n])|(?P<bare>[^\s\"'#=\[\]{},.]+)|#[^\n]*|\s",
    re.DOTALL,
)
_VALUE_ENDS = (",", "]", "}", "\n")


@dataclass(frozen=True, slots=True)
class KeyPositions:
    """The offset of every key, table and list element of a text that tomllib takes.

    >>> positions = KeyPositions.read("[audit]\\n  share = 0.2\\nnames = ['a',\\n 'b']")
    >>> positions.describe(("audit", "share")), positions.describe(("audit", "names", 1))
    ('line 2, column 3', 'line 4, column 2')
    >>> positions.find("audit.share"), positions.find("audit.quota")
    (('audit', 'share'), None)
    """

    text: str
    raw: Mapping[str, Any]
    offsets: Mapping[KeyPath, int]

    @staticmethod
    def read(text: str) -> KeyPositions:
        """Read the positions of a text; TOMLDecodeError where it is not TOML."""
        text = text.replace("\r\n", "\n")  # as tomllib counts columns
        return KeyPositions(text, tomllib.loads(text), _Scanner(text).scan())

    def describe(self, path: KeyPath) -> str:
        """Return the line and column, from 1, of a key, or of the nearest table around it; "" where it has none."""
        while path and path not in self.offsets:
            path = path[:-1]
        return describe_offset(self.text, self.offsets[path]) if path else ""

    def refine(self, path: KeyPath, sentence: str) -> KeyPath:
        """Return the path of the test that an error about a plain `when` names; the given path where there is none."""
        if path[-1:] != ("when",) or path not in self.offsets:
            return path
        tests = self._get(path)
        if not isinstance(tests, Mapping) or tests.keys() & {"all", "any", "not"}:
            return path  # the same test may be there twice
        return self.find(sentence.partition(".when: ")[2], path) or path

    def find(self, name: str, start: KeyPath = ()) -> KeyPath | None:
        """Return the path of a dotted name below `start`; None where the file does not have exactly that key.

        An entry of a list is named by its `id` or `name`, as in "routing.big". A text may follow the name.
        """
        for key, path in sorted(_named_entries(self._get(start)), key=lambda entry: len(entry[0]), reverse=True):
            if name == key or name.startswith((f"{key}:", f"{key} ")):
                return start + path
            if name.startswith(f"{key}.") and (found := self.find(name[len(key) + 1 :], start + path)):
                return found
        return None

    def _get(self, path: KeyPath) -> Any:
        table: Any = self.raw
        for part in path:
            table = table[part]
        return table


def describe_offset(text: str, offset: int) -> str:
    """Return an offset in a text as a line and a column, each counted from 1."""
    line_start = text.rfind("\n", 0, offset) + 1
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - line_start + 1}"


def find_last_key(text: str) -> tuple[KeyPath, int]:
    """Return the path and the offset of the key or table that the last statement of a text sets."""
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.scan()
    return scanner.last


def _named_entries(table: Any) -> Iterator[tuple[str, KeyPath]]:
    if isinstance(table, Mapping):
        yield from ((key, (key,)) for key in table)
    elif isinstance(table, list):
        names = [str(item.get("id", item.get("name"))) if isinstance(item, Mapping) else "" for item in table]
        # a name that two entries have would lead to the wrong one
        yield from ((name, (place,)) for place, name in enumerate(names) if names.count(name) == 1)


class _Scanner:
    """Reads a text that tomllib has read: only what is needed to tell keys, values and tables apart."""

    def __init__(self, text: str) -> None:
        found = (token for token in _TOKENS.finditer(text) if token.lastgroup)
        self._tokens = [(token[0], token.start()) for token in found]
        self._at = 0
        self._offsets: dict[KeyPath, int] = {}
        self._n_tables: Counter[KeyPath] = Counter()  # entries of each [[list of tables]]
        self.last: tuple[KeyPath, int] = ((), 0)

    def scan(self) -> dict[KeyPath, int]:
        """Return the offset of each key, table and list element by its path."""
        table: KeyPath = ()
        while self._at < len(self._tokens):
            if self._skip("\n"):
                continue
            if self._skip("["):
                is_list = self._skip("[")
                table = self._read_key((), is_header=True, is_list=is_list)
                self._at += 2 if is_list else 1
            else:
                self._read_value(self._read_key(table))
        return self._offsets

    def _skip(self, sign: str) -> bool:
        is_next = self._at < len(self._tokens) and self._tokens[self._at][0] == sign
        self._at += is_next
        return is_next

    def _read_key(self, path: KeyPath, *, is_header: bool = False, is_list: bool = False) -> KeyPath:
        """Read a key with its dots; return its path through the newest entry of each list of tables."""
        while True:
            text, offset = self._tokens[self._at]
            self._at += 1
            path += (tomllib.loads(f"key = {text}")["key"] if text[0] in "\"'" else text,)
            is_last = not self._skip(".")
            self._offsets.setdefault(path, offset)
            if is_last and is_header and not is_list:  # not where [tiers.L1] named [tiers] before
                self._offsets[path] = offset
            if is_last and is_list:
                self._n_tables[path] += 1
            if path in self._n_tables:
                path += (self._n_tables[path] - 1,)
                self._offsets.setdefault(path, offset)
            if is_last:
                self.last = (path, offset)
                return path

    def _read_value(self, path: KeyPath) -> None:
        """Skip the `=` and the value of a key, or an element of a list; keep the places of what is inside."""
        self._skip("=")
        last = self.last
        if self._skip("["):
            place = 0
            while not self._skip("]"):
                if not (self._skip("\n") or self._skip(",")):
                    self._offsets[(*path, place)] = self._tokens[self._at][1]
                    self._read_value((*path, place))
                    place += 1
        elif self._skip("{"):
            while not self._skip("}"):
                if not (self._skip("\n") or self._skip(",")):
                    self._read_value(self._read_key(path))
        else:
            while self._at < len(self._tokens) and self._tokens[self._at][0] not in _VALUE_ENDS:
                self._at += 1
        self.last = last
