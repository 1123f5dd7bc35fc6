"""What is known of each person: how reliable, how fast, how swayed by what is shown, and who should pause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from feedback.consensus import hierarchical
from feedback.errors import VotesError
from feedback.evidence import Interval
from feedback.learning.scene import Scene
from feedback.people.anchoring import Anchoring, anchoring
from feedback.people.goldbook import gold_tasks
from feedback.people.pace import Pace, pace, time_by_label
from feedback.people.reliability import Reliability, advise_pause, against_gold, against_others
from feedback.reports.people import answer_text
from feedback.store import OverrideRow, Store, Vote
from feedback.votes import name_columns
from ml_backend.records import Answer

_FEW_GOLD = 5  # gold answers of one person below which the others judge instead
_LABELS = ("choices", "pairwise", "taxonomy", "rating")  # answers that are right or wrong, not more or less
_NEWS = 0.01  # share of new votes that is worth another look: a large project is not reckoned anew at each vote


def report_people(store: Store, scene: Scene, *, now_s: float) -> None:
    """Record everybody's figures when votes, gold or policy changed, under the kind "people"."""
    last = store.latest(scene.project.id, "people")
    of = {"votes": len(scene.votes), "gold": len(scene.gold), "policy": scene.policy.hash}
    if last is not None:
        grown = abs(len(scene.votes) - last.body["votes"])
        same = {name: last.body[name] for name in ("gold", "policy")} == {"gold": of["gold"], "policy": of["policy"]}
        if same and grown <= _NEWS * last.body["votes"]:
            return
    if not scene.votes:
        return
    body = of | {"people": people_figures(store, scene)}
    store.record(scene.project.id, "people", body | {"at_s": now_s})


def people_figures(store: Store, scene: Scene) -> list[dict[str, Any]]:
    """Everybody as plain JSON, those first who most surely need help; an accuracy of None is not known.

    Accuracy is against gold where a person answered enough of it, else against what the others say together on tasks
    that were drawn for several people: one's own vote never confirms itself, and hard tasks slander nobody.
    `pull` is how much more often somebody agrees with the model when they see its answer. What is shown was chosen for
    being uncertain, what is blind was drawn: a pull that is found in spite of this is real, none found proves nothing.
    """
    if not scene.votes:
        return []
    records, words = _records(scene, {task: one.answer for task, one in gold_tasks(store, scene.project.id).items()})
    paces = _paces(scene.votes)
    shares = _time_shares(scene.votes)
    pulls = _pulls(store.overrides(scene.project.id, changed=None))
    rows = []
    for person in sorted(paces):
        record = records.get(person)
        rows.append(
            {"person": person}
            | _accuracy(record, words)
            | _speed(paces[person])
            | {"time_share": shares.get(person, {})}
            | {"pull": _pull(pulls.get(person))}
            | {"advice": advise_pause(record, below=scene.policy.gold.pause_below) if record else ""}
        )
    rows.sort(key=lambda row: (row["accuracy"]["high"] if row["accuracy"] else 2.0, row["person"]))
    return rows


def _records(scene: Scene, gold: Mapping[int, Answer]) -> tuple[dict[int, Reliability], list[str]]:
    votes = [vote for vote in scene.votes if vote.task in scene.doubled or vote.task in gold]
    if not votes or not {vote.answer.kind for vote in votes} <= set(_LABELS):
        return {}, []
    named = name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])
    words = [answer_text(label.key) for label in named.labels]  # type: ignore[attr-defined]
    code = {label: place for place, label in enumerate(named.labels)}
    unsaid = len(code)  # a gold answer that nobody gave: who meets it is wrong
    known = np.array([code.get(gold[task], unsaid) if task in gold else -1 for task in named.tasks])  # type: ignore[index]
    drawn = np.array([task in scene.doubled for task in named.tasks])[named.votes.tasks]
    found: dict[int, Reliability] = {}
    if drawn.any():
        shared = named.votes.where(drawn)
        try:
            by_others = against_others(shared, fit=hierarchical(shared))
        except VotesError:
            by_others = ()
        found = {named.people[one.person]: one for one in by_others if one.compared}  # type: ignore[misc]
    by_gold = against_gold(named.votes, np.where(known >= unsaid, -1, known)) if (known >= 0).any() else ()
    found |= {named.people[one.person]: one for one in by_gold if one.compared >= _FEW_GOLD}  # type: ignore[misc]
    return found, words


def _paces(votes: Sequence[Vote]) -> dict[int, Pace]:
    people = np.array([vote.person for vote in votes], dtype=np.int64)
    at_s = np.array([vote.at_s for vote in votes])
    lead_s = np.array([math.nan if vote.lead_time_s is None else vote.lead_time_s for vote in votes])
    return {one.person: one for one in pace(people, at_s, lead_s)}


def _time_shares(votes: Sequence[Vote]) -> dict[int, dict[str, float]]:
    """By person, the share of their time that each answer took."""
    if not {vote.answer.kind for vote in votes} <= set(_LABELS):
        return {}
    named = name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])
    lead_s = np.array([math.nan if vote.lead_time_s is None else vote.lead_time_s for vote in votes])
    spent = time_by_label(named.votes.people, named.votes.labels, lead_s, n_labels=len(named.labels))
    words = [answer_text(label.key) for label in named.labels]  # type: ignore[attr-defined]
    people: list[int] = list(named.people)  # type: ignore[arg-type]
    return {
        people[code]: {word: round(float(share), 3) for word, share in zip(words, row, strict=True) if share > 0}
        for code, row in spent.items()
    }


def _pulls(rows: Sequence[OverrideRow]) -> dict[int, Anchoring]:
    listed = [row for row in rows if row.person is not None and row.shown is not None]
    if not listed:
        return {}
    people = np.array([row.person for row in listed], dtype=np.int64)
    seen = np.array([not row.blind for row in listed])
    agrees = np.array([not row.changed for row in listed])
    return {one.person: one for one in anchoring(people, seen, agrees)[1:] if one.person is not None}


def _accuracy(record: Reliability | None, words: Sequence[str]) -> dict[str, Any]:
    if record is None or not record.compared or math.isnan(record.accuracy.value):
        return {"accuracy": None, "compared": 0, "against": None, "weakest": None}
    slip = record.biggest_slip
    return {
        "accuracy": _plain(record.accuracy),
        "compared": record.compared,
        "against": record.against,
        "weakest": None if slip is None else {"label": words[slip], **_plain(record.by_label[slip])},
    }


def _speed(one: Pace) -> dict[str, Any]:
    median = one.median_s
    return {
        "answers": one.answers,
        "hours": round(one.hours, 3),
        "per_hour": None if math.isnan(one.per_hour) else round(one.per_hour, 1),
        "median_s": None if math.isnan(median.value) else round(median.value, 1),
    }


def _pull(one: Anchoring | None) -> dict[str, Any] | None:
    if one is None or math.isnan(one.pull.value):
        return None
    return _plain(one.pull) | {"proven": one.proven}


def _plain(interval: Interval) -> dict[str, float]:
    return {name: round(getattr(interval, name), 4) for name in ("value", "low", "high")}
