"""How the model came to be: every verdict with its intervals, and the accuracy of what served meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from feedback.stats.intervals import wilson
from feedback.store import Record


def verdicts(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Give verdicts as plain JSON, in the order given, each accuracy with its 95 % interval."""
    return [_verdict(one.body) for one in records]


def accuracy_over_time(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Give what the serving model got right at each verdict, oldest first; `found` are verdicts, newest first.

    A promoted challenger serves from its verdict on, a refused one leaves the champion, which was judged on the same
    rows. Each interval is that of one look: it says how sure this point is, not that two points differ.
    """
    points = []
    for verdict in reversed(found):
        figure = verdict["accuracy"] if verdict["promote"] else verdict["champion_accuracy"]
        if figure is not None:
            version = verdict["challenger"] if verdict["promote"] else verdict["champion"]
            points.append({"at_s": verdict["at_s"], "version": version, **figure})
    return points


def share(value: float | None, rows: int) -> dict[str, Any] | None:
    """A share of so many rows as JSON with its 95 % interval; None where there is none.

    >>> share(0.9, 100)
    {'value': 0.9, 'low': 0.8256, 'high': 0.9448, 'rows': 100}
    """
    if value is None or not rows:
        return None
    interval = wilson(round(value * rows), rows)
    return {"value": value, "low": round(interval.low, 4), "high": round(interval.high, 4), "rows": rows}


def _verdict(body: Mapping[str, Any]) -> dict[str, Any]:
    rows = int(body.get("rows") or 0)
    return {
        "at_s": float(body.get("at_s") or 0.0),
        "promote": bool(body.get("promote")),
        "gate": str(body.get("gate", "")),
        "reason": str(body.get("reason", "")),
        "challenger": str(body.get("challenger", "")),
        "champion": str(body.get("champion", "")),
        "rows": rows,
        "accuracy": share(body.get("accuracy"), rows),
        "champion_accuracy": share(body.get("champion_accuracy"), rows),
        "e_value": body.get("e_value"),
    }
