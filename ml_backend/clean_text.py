"""Texts of other people as they are meant: decoded, in one normal form, without invisible characters at their edges."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Collection, Iterable

_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# soft hyphen, zero-width spaces and joiners, byte order mark, marks of the reading direction
_INVISIBLE = (
    "\xad\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
)
_EDGES = "".join(filter(str.isspace, map(chr, range(0x3001)))) + _INVISIBLE
_INSIDE = re.compile(f"[{_INVISIBLE}\ufe0e\ufe0f]")  # with the two signs for how an emoji looks
ODD = re.compile(rf"[{_INVISIBLE}]|[^\S\r\n]")  # what `clean_text` may have to remove, apart from the ends of lines
_WHOLE = re.compile(r"(-?\d+)\.00?")  # three zeros may be a thousand
_FRACTION = re.compile(r"-?\d+\.\d+")
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?(e[+-]?\d{1,3})?")


def decode_text(raw: bytes) -> str:
    r"""Return a file as text in NFC, without its byte order mark; UnicodeDecodeError where it is not Unicode.

    UTF-8, and UTF-16 and UTF-32 with a mark; UTF-16 also without one where the first character is ASCII.

    >>> decode_text("café".encode("utf-16")), decode_text(b"\xef\xbb\xbfcafe\xcc\x81") == "caf\xe9"
    ('café', True)
    """
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    if encoding == "utf-8" and b"\0" in raw[:2] and any(raw[:2]):
        encoding = "utf-16-be" if raw[0] == 0 else "utf-16-le"
    return unicodedata.normalize("NFC", raw.decode(encoding).lstrip("\ufeff"))


def clean_text(text: str) -> str:
    r"""Return a label or a name in NFC, without spaces and invisible characters at its edges.

    Letters that are composed in two ways are one, as "ham" and "ham" with a non-breaking space are. Nothing else is
    changed: full-width letters, another case and spaces inside may be meant; `group_similar` finds them.

    >>> clean_text("\ufeffham\xa0"), clean_text("cafe\u0301") == "caf\xe9", clean_text("Ａ x²")
    ('ham', True, 'Ａ x²')
    """
    return (text if text.isascii() else unicodedata.normalize("NFC", text)).strip(_EDGES)


def unify_spelling(names: Collection[str]) -> dict[str, str]:
    """Return replacements for names that a program has spelled in two ways: "1.0" for 1, "TRUE" for true.

    pandas writes whole numbers as floats where a cell is empty. They are replaced where the same number also occurs
    in another way and every number with a fraction is whole; Excel's "TRUE" where another spelling occurs.

    >>> unify_spelling(["1.0", "2.0", "1", "TRUE", "true"]), unify_spelling(["1.0", "1", "1.5"])
    ({'1.0': '1', '2.0': '2', 'TRUE': 'true'}, {})
    """
    known = set(names)
    floats = {name: match[1] for name in known if (match := _WHOLE.fullmatch(name))}
    whole = len(floats) == sum(1 for name in known if _FRACTION.fullmatch(name))
    numbers = set(floats.values())
    is_twice = len(numbers) < len(floats) or not known.isdisjoint(numbers)
    found = dict(sorted(floats.items())) if whole and is_twice else {}
    for value in ("false", "true"):
        spelled = sorted(name for name in known if name.casefold() == value)
        found |= {name: value for name in spelled if name != value and len(spelled) > 1}
    return found


def group_similar(names: Iterable[str]) -> list[list[str]]:
    r"""Return groups of names that people may take for one: they differ in case, width, spaces or how numbers look.

    >>> group_similar(["spam", "ham", "Spam", "007", "7,0", "New York", "New\xa0York"])
    [['007', '7,0'], ['New York', 'New\xa0York'], ['Spam', 'spam']]
    """
    groups: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        plain = " ".join(_INSIDE.sub("", unicodedata.normalize("NFKC", name).casefold()).split())
        number = plain.replace(",", ".", 1)  # as many countries write a fraction
        groups.setdefault(repr(float(number)) if _NUMBER.fullmatch(number) else plain, []).append(name)
    return [group for group in groups.values() if len(group) > 1]
