"""Where people changed what the model said: how often, from what to what, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from feedback.reports.formatting import answer_text
from feedback.stats.intervals import wilson
from feedback.store import OverrideCount

_MOST = 30  # pairs of answers that are listed


def override_figures(counts: Iterable[OverrideCount], reasons: Mapping[str, str]) -> dict[str, Any]:
    """Rates with intervals, pairs and reasons as plain JSON; `reasons` gives codes their words.

    Answers that were given blind stand apart: who sees an answer is drawn to it, so that only they say how often the
    model is wrong. What was shown says how often people disagree aloud.
    """
    listed = list(counts)
    changed = [one for one in listed if one.changed]
    pairs: Counter[tuple[str, str]] = Counter()
    why: dict[tuple[str, str], Counter[str]] = {}
    given: Counter[str] = Counter()
    for one in changed:
        pair = (answer_text(one.shown) if one.shown else "", answer_text(one.answer))
        pairs[pair] += one.times
        why.setdefault(pair, Counter())[one.reason] += one.times
        if not one.blind:
            given[one.reason] += one.times
    return {
        "shown": _rate(one for one in listed if not one.blind),
        "blind": _rate(one for one in listed if one.blind),
        "pairs": [
            {
                "from": shown,
                "to": said,
                "count": count,
                "reason": _words(why[shown, said].most_common(1)[0][0], reasons),
            }
            for (shown, said), count in pairs.most_common(_MOST)
        ],
        "reasons": [{"reason": _words(code, reasons), "count": count} for code, count in given.most_common()],
    }


def _rate(counts: Iterable[OverrideCount]) -> dict[str, Any] | None:
    listed = list(counts)
    total, changed = sum(one.times for one in listed), sum(one.times for one in listed if one.changed)
    if not total:
        return None
    return {"changed": changed, "answers": total, **wilson(changed, total).to_json(digits=4)}


def _words(code: str, reasons: Mapping[str, str]) -> str:
    return reasons.get(code, code) or "not given"
