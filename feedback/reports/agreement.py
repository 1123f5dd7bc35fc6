"""How far people agree on the tasks drawn for it, measured at each turn and recorded when it changes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from feedback.agreement import Coefficient, cohen, percent
from feedback.agreement.breakdown import confusions
from feedback.learning.scene import Scene
from feedback.reports.people import answer_text
from feedback.store import Store
from feedback.votes import Named, name_votes

_UNCLEAR = 0.6  # kappa below this: the task definition is broken, more labels do not mend it
_FEW = 30  # randomly drawn items below which nothing is said of the task definition


def report_agreement(store: Store, scene: Scene, *, now_s: float) -> dict[str, Any] | None:
    """Percent agreement and Cohen's kappa with intervals on randomly drawn tasks; None without two votes on any.

    Tasks that were chosen because they are hard are left out: they would slander the people (DESIGN 13).
    """
    drawn = [vote for vote in scene.votes if vote.task in scene.doubled]
    named = name_votes((vote.task, vote.person, vote.answer.key) for vote in drawn)
    votes = named.votes
    agreed = percent(votes) if len(votes) else None
    if agreed is None or not agreed.items:
        return None
    kappa = cohen(votes)
    body = {"percent": _plain(agreed), "kappa": _plain(kappa), "reading": reading(kappa), "confused": _confused(named)}
    last = store.latest(scene.project.id, "agreement")
    if last is None or {name: last.body.get(name) for name in body} != body:
        store.record(scene.project.id, "agreement", body | {"at_s": now_s})
    return body


def reading(kappa: Coefficient) -> str:
    """Say in a sentence what a kappa means for the project."""
    if math.isnan(kappa.value):
        return kappa.note
    if kappa.items < _FEW:
        return f"{kappa} is too little to judge: {_FEW} randomly drawn tasks with two votes are wanted"
    if kappa.high < _UNCLEAR:
        return f"{kappa}: below {_UNCLEAR}, the task definition is unclear; mend the guideline before labelling on"
    if kappa.value < _UNCLEAR:
        return f"{kappa}: probably below {_UNCLEAR}; look at the tasks on which people differ"
    return f"{kappa}: people understand the task alike"


def _confused(named: Named) -> dict[str, Any] | None:
    """The two answers that are taken for each other most, and their share of all disagreement."""
    if named.votes.n_labels < 2:
        return None
    shares = np.triu(confusions(named.votes))
    if not shares.max() > 0:
        return None
    pair = np.unravel_index(int(shares.argmax()), shares.shape)
    return {"answers": [answer_text(str(named.labels[int(code)])) for code in pair], "share": round(shares.max(), 4)}


def _plain(figure: Coefficient) -> dict[str, Any]:
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
