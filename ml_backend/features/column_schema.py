"""The schema of a task's fields, from training rows: numbers, categories and short lists, and why others are not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_OPTIONS = 100  # of one column; the most frequent ones
_LARGEST = 1e300  # of a number; squares of larger ones overflow
_MAX_LIST = 20  # entries of a short list
_MAX_CHARS = 60  # of a category, on average
_FEW_ROWS = 20  # with fewer, numbers that all differ say nothing about what they are
_LONG_NUMBER = 1e9  # from here on whole numbers that all differ are telephone numbers, times or keys
_MOST = 0.9  # share of the values that decides what a column is

_POINT = re.compile(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?([eE][-+]?\d{1,3})?|[-+]?\.\d+")
_COMMA = re.compile(r"[-+]?(\d{1,3}([. ]\d{3})+|\d+)(,\d+)?")
_LEADING_ZERO = re.compile(r"0\d")  # of a postcode or a key, never of a number
_SIGNS = " $€£¥%\u00a0"  # around a number
_IDENTIFIER = re.compile(r"(^|[\W_])(id|ids|uuid|guid|key|number|nr)$|[a-z]I[dD]$", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d?-\d\d?([T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}([T ].*)?|\d{1,2}:\d\d(:\d\d.*)?")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S*|data:\S*|/\S+/\S*|www\.\S+|[^\s@]+@[^\s@]+\.[^\s@]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field is as a column: a number, a category, or several of a list; or why it is left out."""

    is_number: bool = False
    comma: bool = False  # whether its texts are written "1.250,00"
    several: bool = False
    why_not: str = ""  # a clause; "" where it is a column


def find_kind(name: str, values: Sequence[Any], *, n_rows: int, is_wanted: bool = False) -> Kind:
    """Return what a field is, from its values in the training rows, which are neither None nor empty.

    `is_wanted` says that the policy names the field: only what cannot be a column is left out then.

    >>> find_kind("amount", ["1,250.00", "80.50", "7"], n_rows=3)
    Kind(is_number=True, comma=False, several=False, why_not='')
    >>> find_kind("postcode", ["01067", "01069", "80331"], n_rows=3).why_not
    'its values nearly all differ'
    """
    if any(isinstance(value, list) for value in values):
        return _find_kind_of_lists(values)
    if not all(isinstance(value, (str, int, float)) for value in values):
        return Kind(why_not="its values are nested objects")
    texts = [text for value in values for text in read_options(value, is_field=True)]
    distinct, n = Counter(texts), len(texts)
    if n < 2:
        return Kind(why_not="hardly any row has a value")
    if len(distinct) == 1 and n == n_rows:
        return Kind(why_not="all rows have the same value")
    strings = [value.strip() for value in values if isinstance(value, str)]
    if not is_wanted and (what := _find_meaning(name, values, strings, all_differ=len(distinct) == n)):
        return Kind(why_not=what)
    if not any(map(_LEADING_ZERO.match, strings)) and not all(isinstance(value, bool) for value in values):
        for comma in (False, True):
            read = sum(read_number(value, is_field=True, comma=comma) is not None for value in values)
            if read >= (1.0 if comma else _MOST) * n and len(distinct) > 1:
                return Kind(is_number=True, comma=comma)
    return _find_kind_of_texts(distinct, n)


def read_number(value: Any, *, is_field: bool, comma: bool = False) -> float | None:
    """Return the number that a value is, or of a field its text; else None.

    >>> [read_number(text, is_field=True) for text in ("1,250.00", "$ 7", "1,25", "-.5", "nan", "1e999")]
    [1250.0, 7.0, None, -0.5, None, None]
    >>> read_number("1.250,00", is_field=True, comma=True), read_number("1", is_field=False)
    (1250.0, None)
    """
    if isinstance(value, str) and is_field and len(value) <= _MAX_CHARS:
        text = value.strip(_SIGNS)
        if not (_COMMA if comma else _POINT).fullmatch(text):
            return None
        value = float(text.replace(".", "").replace(" ", "").replace(",", ".") if comma else text.replace(",", ""))
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -_LARGEST < value < _LARGEST:
        return None
    return float(value)


def read_options(value: Any, *, is_field: bool) -> tuple[str, ...]:
    """Return the options that a value has; of a field also numbers and yes or no, as texts.

    >>> read_options(["b", 3, None], is_field=True), read_options(True, is_field=True), read_options(3, is_field=False)
    (('b', '3'), ('true',), ())
    """
    if isinstance(value, str):
        text = value.strip() if is_field else value
        return (text,) if text or not is_field else ()
    if isinstance(value, (list, tuple)):
        return tuple(
            text
            for each in value
            if isinstance(each, (str, int, float))
            for text in read_options(each, is_field=is_field)
        )
    if not is_field or not isinstance(value, (int, float)) or value != value:
        return ()
    return (str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if abs(value) < _LARGEST else "large",)


def _find_meaning(name: str, values: Sequence[Any], strings: Sequence[str], *, all_differ: bool) -> str:
    """Return what a field is that no model should learn from, as a clause; "" for any other."""
    if _IDENTIFIER.search(name):
        return "an identifier, by its name"
    whole = [int(value) for value in values if isinstance(value, int) and abs(value) < _LARGEST]
    if all_differ and len(whole) == len(values) >= _FEW_ROWS:
        if len(whole) > 0.5 * (max(whole) - min(whole)):
            return "a running number"
        if min(whole) >= _LONG_NUMBER:
            return "long numbers that all differ"
    if not strings or len(strings) < _MOST * len(values):
        return ""
    if _share(_DATE.fullmatch, strings) >= _MOST:
        return "dates or times"
    if _share(_ADDRESS.fullmatch, strings) >= _MOST:
        return "addresses"
    return "long texts" if sum(map(len, strings)) > _MAX_CHARS * len(strings) else ""


def _share(test: Callable[[str], object], strings: Sequence[str]) -> float:
    return sum(test(text) is not None for text in strings) / len(strings)


def _find_kind_of_texts(distinct: Counter[str], n: int, *, several: bool = False) -> Kind:
    covered = sum(count for _, count in distinct.most_common(MAX_OPTIONS) if count > 1)
    return Kind(several=several) if 2 * covered >= n else Kind(why_not="its values nearly all differ")


def _find_kind_of_lists(values: Sequence[Any]) -> Kind:
    lists = [value if isinstance(value, list) else [value] for value in values]
    if any(isinstance(each, (dict, list)) for entries in lists for each in entries):
        return Kind(why_not="its values are nested objects")
    if max(map(len, lists)) > _MAX_LIST:
        return Kind(why_not=f"lists of more than {_MAX_LIST} entries")
    texts = [text for entries in lists for text in read_options(entries, is_field=True)]
    return _find_kind_of_texts(Counter(texts), len(texts), several=True) if texts else Kind(why_not="empty lists")
