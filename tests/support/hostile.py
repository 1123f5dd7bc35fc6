"""Hostile values of tasks, answers, signals and files: what other people, programs and accidents really write."""

from __future__ import annotations

from typing import Any


def nested(depth: int) -> Any:
    """Return lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


ADDRESSES = (
    "/data/upload/20/größe.png", "http://[::1", "http://[::1]:99999/x.png", "http://user:pw@host/x",
    "javascript:alert(1)",
    "file:///etc/passwd", "http://%zz/x", "http://a b/x", "//", "http://", "http://\u2028/", "data:", "data:,", "s3://b/k",
    "data:image/png;base64,%%%", "http://" + "a" * 70_000,
    "http://xn--/x", "http://ª.example/", "http:///x", "\\\\host\\x",
)  # fmt: skip
TEXTS = (
    "", " ", "\x00", "a\x00b", "\ud800", "\udfff x", "\u202eevil", "\x1b]0;owned\x07\x1b[2J", "\x9b2J",
    "e" + "\u0301" * 5_000, "x" * 1_000_000, "x " * 20_000, "[red]x[/red]", "{{7*7}}", "'; DROP TABLE task; --",
    "__proto__", "constructor",
    "\ufeff", "\uffff", "𝕏" * 100, "NaN", "=1+1", "%s%n{0}", "<script>", "\r\n", "null", "[]", "İıſß",
)  # fmt: skip
NUMBERS = (
    1e308, -0.0, float("nan"), float("inf"), 10**30, -(10**30), 2**63, 2**64, True, 0, -1, 5e-324, 10**400,
)  # fmt: skip
SHAPES = (None, {}, [], {"a": {}}, [[]], nested(200), nested(600), {"": ""}, {"__class__": 1}, {"id": 1}, [None] * 50)
TIMES = (
    "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "-1", "2026-01-01", "2026-01-01T00:00:00", 1e20, -5, 0.5,
    "yesterday", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00+99:99", "١٢٣", "", None, {},
)  # fmt: skip
VALUES: tuple[Any, ...] = (*TEXTS, *ADDRESSES, *NUMBERS, *SHAPES, *TIMES)
