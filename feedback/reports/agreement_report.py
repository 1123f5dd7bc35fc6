"""How far people agree on the tasks drawn for it, measured at each turn and recorded when it changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

from feedback.agreement import Coefficient, cohen, measure, percent
from feedback.agreement.verdict import read
from feedback.project.guidelines import guideline_of, guidelines
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.annotator_counts import answer_text
from feedback.store import Store, Vote
from feedback.votes import Named, Votes, name_columns
from ml_backend.errors import UnknownName

_LOG = logging.getLogger(__name__)


def report_agreement(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> dict[str, Any] | None:
    """Percent agreement and Cohen's kappa with intervals on randomly drawn tasks; None without two votes on any.

    `reading` says in sentences what the policy's own measure means (`overlap.measure`), `confused` the two answers that
    are taken for each other most, `open` the tasks to look at. Tasks that were chosen because they are hard are left
    out: they would slander the people (DESIGN 13). Two answers agree where they are equal; `hitl agree` measures
    regions and numbers by distance.
    """
    named = drawn_votes(snapshot.votes, snapshot)
    votes = named.votes
    agreed = percent(votes) if len(votes) else None
    if agreed is None or not agreed.items:
        return None
    kappa = cohen(votes)
    judging = kappa if snapshot.policy.overlap.measure == "cohen" else _judging(votes, snapshot.policy.overlap.measure)
    reading = read(votes, [answer_text(str(label)) for label in named.labels], figure=judging)
    confused = reading.confused
    body = {
        "percent": plain(agreed),
        "kappa": plain(kappa),
        "reading": str(reading),
        "clear": reading.clear,
        "confused": confused and {"answers": list(confused[:2]), "share": round(confused[2], 4)},
        "open": [named.tasks[code] for code in reading.open_first],
    }
    if change := around_change(store, snapshot):
        body["guideline"] = change
    last = store.latest(snapshot.project.id, "agreement")
    if last is None or {name: last.body.get(name) for name in body} != body:
        store.record(snapshot.project.id, "agreement", body | {"at_s": now_s})
    return body


def _judging(votes: Votes, name: str) -> Coefficient | None:
    """The figure that the policy wants; None, for the usual one, where its package is not installed here."""
    try:
        return measure(name)(votes)
    except UnknownName as error:
        _LOG.warning("%s", error)
        return None


def around_change(store: Store, snapshot: ProjectSnapshot) -> dict[str, Any] | None:
    """Agreement before and after the last change of guideline (label config or instruction); None without one.

    Each side has the answers that were given under its guideline alone: a pair across the change says nothing.
    """
    told = guidelines(store, snapshot.project.id)
    if len(told) < 2:
        return None
    at_s = told[-1].at_s
    under = [guideline_of(told, vote.at_s) for vote in snapshot.votes]
    sides = {
        name: drawn_votes(
            [v for v, known in zip(snapshot.votes, under, strict=True) if known == one.hash], snapshot
        ).votes
        for name, one in (("before", told[-2]), ("after", told[-1]))
    }
    figures = {name: plain(cohen(votes)) if len(votes) else None for name, votes in sides.items()}
    return {"hash": told[-1].hash, "changed_s": at_s, **figures}


def drawn_votes(votes: Sequence[Vote], snapshot: ProjectSnapshot) -> Named:
    """The votes on tasks that were drawn at random for several people."""
    drawn = [vote for vote in votes if vote.task in snapshot.doubled]
    return name_columns(
        [vote.task for vote in drawn], [vote.person for vote in drawn], [vote.answer.key for vote in drawn]
    )


def plain(figure: Coefficient) -> dict[str, Any]:
    """JSON has no NaN: what is undefined is null."""
    value = None if math.isnan(figure.value) else round(figure.value, 6)
    return {
        "value": value,
        "low": round(figure.low, 6),
        "high": round(figure.high, 6),
        "items": figure.items,
        "pairs": figure.pairs,
        "note": figure.note,
    }
