"""What is known of each person: accuracy, speed, the effect of shown predictions, who should pause; the gold tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from feedback.annotators.accuracy import (
    SAMPLES,
    AccuracyTable,
    Reliability,
    advise_pause,
    encode_answers,
    measure_accuracy,
    measure_anchoring,
    onboarding_progress,
)
from feedback.annotators.gold import GoldTask, load_gold_tasks, matches_gold
from feedback.annotators.speed import AccuracyTrend, accuracy_trends, measure_speed, time_share_by_label
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.figures import figure_text, make_figure
from feedback.reports.formatting import answer_text
from feedback.stats.intervals import Interval
from feedback.store import AnnotatorCounts, ProjectRow, Store, Vote
from feedback.votes import LABEL_KINDS, Floats, Ints


def accuracy_of_people(snapshot: ProjectSnapshot, gold: Mapping[int, GoldTask]) -> AccuracyTable:
    """Return how often each person is right, on gold tasks or on those drawn for several people.

    It is the one figure for a person's accuracy, in `hitl people`, in `hitl agree` and on the page on people. Reviewers
    have another figure, of another sample: how often others uphold them (`feedback.review.reviewer_accuracy`).
    """
    tolerance = snapshot.policy.gold.tolerance
    return measure_accuracy(snapshot.votes, gold, overlap_tasks=snapshot.overlap_sample, tolerance=tolerance)


def accuracy_text(row: Mapping[str, Any]) -> str:
    """Return a person's accuracy with its interval and its sample, or why there is none."""
    figure = row["accuracy"]
    if figure is None:
        return row["reason"] or "nothing to compare with yet"
    unknown = f": {row['reason'] or 'the votes do not tell'}" if figure["value"] is None else ""
    return f"{figure_text(figure)}{unknown}"


def annotator_figures(store: Store, snapshot: ProjectSnapshot) -> list[dict[str, Any]]:
    """Return one JSON object per person; those with the clearest problems come first.

    The keys that need a word:

    - `accuracy`: against gold where a person answered enough of it, else against the other people on tasks drawn for
      several people. A person's own vote never confirms itself. None where nothing could be compared; its `value` is
      None where the votes cannot tell. `reason` says why.
    - `weakest_label`, `advice`: only what is proven for all people and labels together.
    - `unclear_labels`: labels on which the votes cannot tell how often the person is right.
    - `distance`: mean distance from the other people, for numbers and regions.
    - `by_hour`, `by_practice`: accuracy by hour of a session and by fifty answers; `change` is all later steps minus
      the first.
    - `anchoring`: how much more often a person agrees with the model when they see its answer. Tasks with a visible
      answer were chosen for being uncertain and blind tasks were drawn, so a proven effect is real, but a missing one
      proves nothing.
    """
    if not snapshot.votes:
        return []
    gold, tolerance = load_gold_tasks(store, snapshot.project.id), snapshot.policy.gold.tolerance
    accuracy = accuracy_of_people(snapshot, gold)
    onboarding = onboarding_progress(snapshot.votes, gold, onboarding_tasks=snapshot.onboarding, tolerance=tolerance)
    label_texts = [answer_text(key) for key in accuracy.label_keys]
    people, at_s, lead_time_s = _columns(snapshot.votes)
    speed = measure_speed(people, at_s, lead_time_s)
    by_hour, by_practice = (
        accuracy_trends(people, at_s, accuracy.hits, by=by, weights=accuracy.weights) for by in ("hour", "practice")
    )
    shares = _time_shares(snapshot.votes)
    anchored = measure_anchoring(store.overrides.list_overrides(snapshot.project.id))
    rows = []
    for person in sorted(speed):
        record, distance = accuracy.records.get(person), accuracy.distances.get(person)
        progress, anchor = onboarding[person], anchored.get(person)
        rows.append(
            {
                "person": person,
                **_accuracy_json(record, label_texts, accuracy.note),
                "distance": distance and distance.distance.to_json(digits=4) | {"compared": distance.compared},
                "answers": speed[person].answers,
                "hours": round(speed[person].hours, 3),
                "per_hour": _interval_json(speed[person].per_hour),
                "median_s": _interval_json(speed[person].median_s),
                "time_share": shares.get(person, {}),
                "by_hour": _trend_json(by_hour[person], record),
                "by_practice": _trend_json(by_practice[person], record),
                "anchoring": _interval_json(anchor, proven=anchor.low > 0.0) if anchor else None,
                "onboarding": asdict(progress) | {"accuracy": _interval_json(progress.accuracy)}
                if progress.total
                else None,
                "advice": advise_pause(record, below=snapshot.policy.gold.pause_below) if record else "",
            }
        )
    return sorted(rows, key=_need_for_help)


def people_page(store: Store, project: ProjectRow) -> dict[str, Any]:
    """Return what the people page shows: counts of now, and the figures that the "report" job recorded last.

    `work` is None for a person before the first record, `at_s` before any.
    """
    record = store.records.get_latest_record(project.id, "people")
    recorded = {row["person"]: row for row in record.body["people"]} if record else {}
    rows = annotator_counts(store.annotations.list_annotators(project.id), recorded, bots=project.bots)
    return {"people": rows, "at_s": record.body["at_s"] if record else None}


def annotator_counts(
    people: Iterable[AnnotatorCounts], recorded: Mapping[int, Mapping[str, Any]], *, bots: Iterable[int] = ()
) -> list[dict[str, Any]]:
    """Return how much each person answered and their recorded figures; those who surely need help come first.

    `recorded` are rows of `annotator_figures` by user id.
    """
    not_people, unknown, rows = set(bots), _accuracy_json(None, (), ""), []
    for person in people:
        if person.id not in not_people:
            counts, figures = asdict(person), recorded.get(person.id)
            accuracy = {name: figures.get(name, none) for name, none in unknown.items()} if figures else unknown
            rows.append({"person": counts.pop("id"), **counts, **accuracy, "work": _work(figures)})
    return sorted(rows, key=lambda row: (row["accuracy"]["high"] if row["accuracy"] else 2.0, row["person"]))


def gold_figures(store: Store, project: ProjectRow) -> list[dict[str, Any]]:
    """Return each gold task as JSON, sorted by id; `state` is asked, retired, known by heart, or deleted.

    A calibration task has no gold answer, so `right` is None. If hardly anybody is right on a task, its gold answer may
    be wrong.
    """
    gold, policy = load_gold_tasks(store, project.id), project.policy
    right: dict[int, list[bool]] = {task: [] for task in gold}
    for vote in store.votes.list_votes(project.id) if gold else ():
        if (entry := gold.get(vote.task)) and (entry.answer is None or vote.answer.kind == entry.answer.kind):
            right[vote.task].append(matches_gold(vote.answer, entry, tolerance=policy.gold.tolerance))
    existing = store.tasks.list_content_hashes(project.id) if gold else {}
    rows = []
    for task, entry in sorted(gold.items()):
        n_answers = len(right[task])
        state = "known by heart" if n_answers >= policy.gold.retire_after else "asked"
        if task not in existing:
            state = "deleted"
        elif not entry.asked:
            state = "retired"
        answer, n_right = (None, None) if entry.answer is None else (answer_text(entry.answer.key), sum(right[task]))
        rows.append({"task": task, "answer": answer, "answers": n_answers, "right": n_right, "state": state})
    return rows


def _need_for_help(row: Mapping[str, Any]) -> tuple[float, float, int]:
    """Sort by the upper bound of accuracy; then those first who are surely far from the others."""
    accuracy, distance = row["accuracy"], row["distance"]
    return accuracy["high"] if accuracy else 2.0, -(distance["low"] or 0.0) if distance else 1.0, row["person"]


def _columns(votes: Sequence[Vote]) -> tuple[Ints, Floats, Floats]:
    """Return user ids, times and lead times in seconds, each (n_votes,); NaN where no lead time is known."""
    people = np.array([vote.person for vote in votes], dtype=np.int64)
    at_s = np.array([vote.at_s for vote in votes])
    return people, at_s, np.array([math.nan if vote.lead_time_s is None else vote.lead_time_s for vote in votes])


def _time_shares(votes: Sequence[Vote]) -> dict[int, dict[str, Any]]:
    """Return the share of each person's time that each label took; {} where answers are not labels."""
    if not {vote.answer.kind for vote in votes} <= set(LABEL_KINDS):
        return {}
    named, (people, _, lead_time_s) = encode_answers(votes), _columns(votes)
    shares = time_share_by_label(people, named.votes.labels, lead_time_s, n_labels=len(named.labels))
    texts = [answer_text(label.key) for label in named.labels]  # type: ignore[attr-defined]
    return {
        person: {text: share.to_json(digits=4) for text, share in zip(texts, own, strict=True) if share.value > 0}
        for person, own in shares.items()
    }


def _accuracy_json(record: Reliability | None, label_texts: Sequence[str], note: str) -> dict[str, Any]:
    if record is None or not record.compared:
        reason = (record.reason if record else "") or note
        nothing = {"accuracy": None, "compared": 0, "against": None, "weakest_label": None}
        return nothing | {"unclear_labels": [], "reason": reason}
    weakest = record.weakest_label
    figure = None if weakest is None else record.by_label[weakest].to_json(digits=4) | {"label": label_texts[weakest]}
    return {
        "accuracy": make_figure(record.accuracy, record.compared, SAMPLES[record.against]),
        "compared": record.compared,
        "against": record.against,
        "weakest_label": figure,
        "unclear_labels": [label_texts[label] for label in record.unclear_labels],
        "reason": record.reason,
    }


def _trend_json(trend: AccuracyTrend, record: Reliability | None) -> dict[str, Any] | None:
    """Return the accuracy of each step and the change after the first; None where nothing was judged or is known.

    Only gold proves a change: compared with others who tire at the same hours, a fresh person seems to tire, too.
    """
    steps = [_interval_json(step) for step in trend.steps]
    if record is None or math.isnan(record.accuracy.value) or not any(steps):
        return None
    proven = record.against == "gold" and 0.0 not in trend.change
    return {"steps": steps, "change": _interval_json(trend.change, proven=proven)}


def _interval_json(interval: Interval, **more: Any) -> dict[str, Any] | None:
    return None if math.isnan(interval.value) else interval.to_json(digits=4) | more


def _work(figures: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return what the page shows of a person's work, without their user id: the page may show a pseudonym."""
    if figures is None:
        return None
    shown = {name: value for name, value in figures.items() if name not in ("person", "time_share")}
    label, share = max(figures["time_share"].items(), key=lambda pair: pair[1]["value"], default=("", None))
    return shown | {"longest_label": share and {"label": label, **share}}
