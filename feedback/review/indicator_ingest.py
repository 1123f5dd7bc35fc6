"""Indicator ingest: reviewers' answers to the policy's indicator questions, read from the event logs once each."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.project.indicators import entity_of
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.review_answers import answer_to_question
from feedback.store import AnnotationVersion, IndicatorValue, Store
from feedback.store.log.events import canonical_json
from feedback.store.log.projections import epoch_s
from feedback.store.tables.routing_tables import Value
from ml_backend.left_out import contained

_BATCH = 5000  # events that are read at once: the log of a large project does not fit in memory


def ingest_indicators(store: Store, snapshot: ProjectSnapshot, *, refused: Collection[int] = ()) -> int:
    """Save the indicator values of all events that are new, and which values count; return how many are new.

    `refused` are annotations of the source project that do not count. Safe to repeat: where the questions changed or
    the store was rebuilt, the logs are read from the beginning, with the same result.
    """
    policy, project = snapshot.policy, snapshot.project.id
    if not policy.indicators:
        return 0
    questions = _hash_questions(policy)
    heads = store.indicators.get_read_positions(project, questions=questions)
    n_new = 0
    for origin in [project, *store.review_projects.list_review_project_ids(project)]:
        seq = heads.get(origin, 0)
        events = store.events.list_annotation_events(origin, seq, limit=_BATCH)
        while events:
            seq = events[-1].seq
            values = _read_events(store, snapshot, origin, events)
            store.indicators.save_indicators(project, values, {origin: seq}, questions=questions)
            n_new += len(values)
            events = store.events.list_annotation_events(origin, seq, limit=_BATCH) if len(events) == _BATCH else []
    store.indicators.update_counted_indicators(project, refused)
    return n_new


def _read_events(
    store: Store, snapshot: ProjectSnapshot, origin: str, events: Sequence[AnnotationVersion]
) -> list[IndicatorValue]:
    """Return the values in the events of one log; after its first answer, an annotation yields one per version."""
    project = snapshot.project.id
    answers = {event.seq: _answers(event, snapshot.policy) for event in events}
    stored = store.indicators.list_indicators_of_annotations(project, origin, {event.annotation for event in events})
    if not stored and not any(answers.values()):
        return []
    tasks = {int((event.body or {}).get("task") or 0) for event in events if answers[event.seq]} - {0}
    is_source = origin == project
    found = {} if is_source else store.cases.list_review_task_sources(project, origin, tasks)
    sources = {task: task for task in tasks} if is_source else found
    bots = set(snapshot.project.bots)
    last: dict[int, dict[str, IndicatorValue]] = {}  # annotation -> question -> its newest value
    for value in sorted(stored, key=lambda value: value.seq):
        last.setdefault(value.annotation, {})[value.name] = value
    values: list[IndicatorValue] = []
    for event in events:
        body = event.body or {}
        person = body.get("person")
        if (event.action == "saved" and event.body is None) or person in bots or body.get("imported"):
            continue  # erased, or not given by a person
        previous, answered = last.setdefault(event.annotation, {}), answers[event.seq]
        task = sources.get(int(body.get("task") or 0))
        answered_s = epoch_s(event.version) if event.action == "saved" else event.received_s
        if event.action != "saved" and previous:
            answered_s = max(answered_s, *(value.answered_s for value in previous.values()))
        for name in snapshot.policy.indicators:
            old = previous.get(name)
            if name not in answered and old is None:
                continue
            entity = old.entity if old is not None else _entity(snapshot.policy.feedback[name], snapshot, task)
            if not entity:
                continue
            previous[name] = IndicatorValue(
                entity,
                name,
                answered.get(name),
                origin,
                event.annotation,
                event.seq,
                old.task if old is not None else int(task or 0),
                person if isinstance(person, int) else None,
                answered_s,
                event.received_s,
                counted=is_source,  # in a review project it counts once its review does
            )
            values.append(previous[name])
    return values


def _entity(question: Question, snapshot: ProjectSnapshot, task: int | None) -> str:
    found = snapshot.tasks.get(task) if task is not None else None
    return entity_of(question.entity, found.data) if found is not None else ""


def _answers(event: AnnotationVersion, policy: Policy) -> dict[str, Value]:
    """Return the indicator values of an annotation by question; {} for a skip."""
    with contained("read the answers", f"annotation {event.annotation}"):
        return _read_answers(event, policy)
    return {}  # type: ignore[unreachable]  # reached where it is left out


def _read_answers(event: AnnotationVersion, policy: Policy) -> dict[str, Value]:
    result = (event.body or {}).get("result")
    if not isinstance(result, Sequence) or isinstance(result, str) or (event.body or {}).get("was_cancelled"):
        return {}
    regions = [region for region in result if isinstance(region, Mapping)]
    found = {name: _value(answer_to_question(name, regions), policy.feedback[name]) for name in policy.indicators}
    return {name: value for name, value in found.items() if value is not None}


def _value(answer: Any, question: Question) -> Value:
    """Return an answer in the form that the question declares; None where it does not fit."""
    if question.kind in ("number", "rating"):
        fits = isinstance(answer, (int, float)) and not isinstance(answer, bool)
        return float(answer) if fits else None
    chosen = [option for option in answer if option in question.options] if isinstance(answer, list) else []
    if question.kind == "choice":
        return str(chosen[0]) if chosen else None
    return tuple(sorted(set(chosen))) or None


def _hash_questions(policy: Policy) -> str:
    """Return a hash of the indicator questions: when it changes, the logs are read again from the beginning."""
    asked = {name: policy.feedback[name] for name in policy.indicators}
    questions = {name: [item.kind, item.entity, list(item.options)] for name, item in asked.items()}
    return hashlib.sha256(canonical_json(questions)).hexdigest()[:16]
