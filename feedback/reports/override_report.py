"""Where people changed predictions: how often, from what to what, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from feedback.reports.formatting import answer_text
from feedback.stats.intervals import wilson
from feedback.store import OverrideCount

_MAX_PAIRS = 30  # pairs of answers that are listed


def override_figures(counts: Iterable[OverrideCount], reasons: Mapping[str, str]) -> dict[str, Any]:
    """Return the rates of change with intervals, the changed answers and the reasons as JSON.

    `reasons` gives the text of each reason code. Blind answers are counted separately: people tend to accept a
    prediction that they see, so only blind answers say how often the model is wrong.
    """
    listed = list(counts)
    changed = [row for row in listed if row.changed]
    pairs: Counter[tuple[str, str]] = Counter()
    why: dict[tuple[str, str], Counter[str]] = {}
    given: Counter[str] = Counter()
    for row in changed:
        pair = (answer_text(row.shown) if row.shown else "", answer_text(row.answer))
        pairs[pair] += row.times
        why.setdefault(pair, Counter())[row.reason] += row.times
        if not row.blind:
            given[row.reason] += row.times
    return {
        "shown": _rate(row for row in listed if not row.blind),
        "blind": _rate(row for row in listed if row.blind),
        "pairs": [
            {
                "from": shown,
                "to": answer,
                "count": count,
                "reason": _words(why[shown, answer].most_common(1)[0][0], reasons),
            }
            for (shown, answer), count in pairs.most_common(_MAX_PAIRS)
        ],
        "reasons": [{"reason": _words(code, reasons), "count": count} for code, count in given.most_common()],
    }


def _rate(counts: Iterable[OverrideCount]) -> dict[str, Any] | None:
    listed = list(counts)
    total, changed = sum(row.times for row in listed), sum(row.times for row in listed if row.changed)
    if not total:
        return None
    return {"changed": changed, "answers": total, **wilson(changed, total).to_json(digits=4)}


def _words(code: str, reasons: Mapping[str, str]) -> str:
    return reasons.get(code, code) or "not given"
