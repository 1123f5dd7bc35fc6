"""What is known of each person: how reliable, how fast, how swayed by what is shown, and who should pause."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from feedback.annotators.anchoring import Anchoring, anchoring
from feedback.annotators.distance import Closeness
from feedback.annotators.gold import gold_tasks
from feedback.annotators.reliability import Reliability, advise_pause
from feedback.annotators.speed import Pace, Trend, fatigue, learning_curve, pace, time_by_label
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.annotator_accuracy import Onboarding, accuracies, onboarding
from feedback.reports.annotator_counts import answer_text
from feedback.stats import Interval
from feedback.store import OverrideRow, Store, Vote
from feedback.votes import LABELS, Floats, Ints, name_columns

_NEWS = 0.01  # share of new votes that is worth another look: a large project is not reckoned anew at each vote


def report_people(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> None:
    """Record everybody's figures when votes, gold or policy changed, under the kind "people"."""
    last = store.latest(snapshot.project.id, "people")
    of = {"votes": len(snapshot.votes), "gold": len(snapshot.gold), "policy": snapshot.policy.hash}
    if last is not None:
        grown = abs(len(snapshot.votes) - last.body["votes"])
        same = {name: last.body[name] for name in ("gold", "policy")} == {"gold": of["gold"], "policy": of["policy"]}
        if same and grown <= _NEWS * last.body["votes"]:
            return
    if not snapshot.votes:
        return
    body = of | {"people": people_figures(store, snapshot)}
    store.record(snapshot.project.id, "people", body | {"at_s": now_s})


def people_figures(store: Store, snapshot: ProjectSnapshot) -> list[dict[str, Any]]:
    """Everybody as plain JSON, those first who most surely need help; an accuracy of None is not known.

    Accuracy is against gold where a person answered enough of it, else against what the others say together on tasks
    that were drawn for several people: one's own vote never confirms itself, and hard tasks slander nobody. Where
    answers are more or less right (numbers, regions), `distance` is how far somebody is from the others. `by_hour` is
    accuracy by hour of a session, `by_practice` by stretches of fifty answers; `change` is all later less the first.
    `pull` is how much more often somebody agrees with the model when they see its answer. What is shown was chosen for
    being uncertain, what is blind was drawn: a pull that is found in spite of this is real, none found proves nothing.
    """
    if not snapshot.votes:
        return []
    book = gold_tasks(store, snapshot.project.id)
    known, begun = accuracies(snapshot, book), onboarding(snapshot, book)
    columns = _columns(snapshot.votes)
    paces = {one.person: one for one in pace(*columns)}
    by_hour = {one.person: one for one in fatigue(*columns[:2], known.right, worth=known.worth)}
    practice = {one.person: one for one in learning_curve(*columns[:2], known.right, worth=known.worth)}
    shares = _time_shares(snapshot.votes)
    pulls = _pulls(store.overrides(snapshot.project.id, changed=None))
    rows = []
    for person in sorted(paces):
        record = known.records.get(person)
        rows.append(
            {"person": person}
            | _accuracy(record, known.words)
            | {"distance": _distance(known.distances.get(person))}
            | _speed(paces[person])
            | {"time_share": shares.get(person, {})}
            | {"by_hour": _trend(by_hour[person], record), "by_practice": _trend(practice[person], record)}
            | {"pull": _pull(pulls.get(person))}
            | {"onboarding": _begun(begun[person])}
            | {"advice": advise_pause(record, below=snapshot.policy.gold.pause_below) if record else ""}
        )
    rows.sort(key=_need)
    return rows


def _need(row: Mapping[str, Any]) -> tuple[float, float, int]:
    """Those first whose upper bound is lowest; then those who are surely far from the others."""
    near, far = row["accuracy"], row["distance"]
    return near["high"] if near else 2.0, -(far["low"] or 0.0) if far else 1.0, row["person"]


def _columns(votes: Sequence[Vote]) -> tuple[Ints, Floats, Floats]:
    """People, times and seconds taken, a row each vote."""
    people = np.array([vote.person for vote in votes], dtype=np.int64)
    at_s = np.array([vote.at_s for vote in votes])
    return people, at_s, np.array([math.nan if vote.lead_time_s is None else vote.lead_time_s for vote in votes])


def _time_shares(votes: Sequence[Vote]) -> dict[int, dict[str, Any]]:
    """By person, the share of their time that each answer took, where answers are labels."""
    if not {vote.answer.kind for vote in votes} <= set(LABELS):
        return {}
    named = name_columns([v.task for v in votes], [v.person for v in votes], [v.answer for v in votes])
    spent = time_by_label(named.votes.people, named.votes.labels, _columns(votes)[2], n_labels=len(named.labels))
    words = [answer_text(label.key) for label in named.labels]  # type: ignore[attr-defined]
    people: list[int] = list(named.people)  # type: ignore[arg-type]
    return {
        people[code]: {word: _plain(share) for word, share in zip(words, shares, strict=True) if share.value > 0}
        for code, shares in spent.items()
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


def _distance(one: Closeness | None) -> dict[str, Any] | None:
    """How far somebody is from the others, where answers are more or less right."""
    return None if one is None else _plain(one.distance) | {"compared": one.compared}


def _speed(one: Pace) -> dict[str, Any]:
    return {
        "answers": one.answers,
        "hours": round(one.hours, 3),
        "per_hour": _known(one.per_hour),
        "median_s": _known(one.median_s),
    }


def _trend(one: Trend, record: Reliability | None) -> dict[str, Any] | None:
    """Accuracy step by step, and how much later steps differ from the first; None where nothing was judged.

    Only gold proves a change: beside others who tire at the same hours, somebody seems to tire who does not.
    """
    steps = [_known(step) for step in one.steps]
    if record is None or not any(steps):
        return None
    proven = record.against == "gold" and (one.worse or one.better)
    change = None if math.isnan(one.change.value) else _plain(one.change) | {"proven": proven}
    return {"steps": steps, "change": change}


def _begun(one: Onboarding) -> dict[str, Any] | None:
    return None if not one.of else {"answered": one.answered, "of": one.of, "accuracy": _known(one.right)}


def _pull(one: Anchoring | None) -> dict[str, Any] | None:
    if one is None or math.isnan(one.pull.value):
        return None
    return _plain(one.pull) | {"proven": one.proven}


def _known(interval: Interval) -> dict[str, Any] | None:
    return None if math.isnan(interval.value) else _plain(interval)


def _plain(interval: Interval) -> dict[str, Any]:
    """JSON has no infinity: an open end is null."""
    found = {name: float(getattr(interval, name)) for name in ("value", "low", "high")}
    return {name: round(value, 4) if math.isfinite(value) else None for name, value in found.items()}
