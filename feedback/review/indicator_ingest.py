"""Remembering: what people say beside the answer becomes facts about the customer, read from the logs once each."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.project.indicators import entity_of
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.review_task_content import answer_to
from feedback.store import Fact, Store
from feedback.store.log.events import canonical_json
from feedback.store.log.projections import epoch_s
from feedback.store.repositories.indicator_values import Told, Value

_AT_ONCE = 5000  # events that are read at once: a large project's log is not held in memory


def remember(store: Store, snapshot: ProjectSnapshot, *, refused: Collection[int] = ()) -> int:
    """Keep what was said since the last time, and whether it counts; gives how many facts are new.

    `refused` are annotations of the source project that do not count. Safe to repeat: where the logs were read for
    other questions, or the store was rebuilt, they are read from the beginning, and the same facts come of it.
    """
    policy, project = snapshot.policy, snapshot.project.id
    if not policy.features:
        return 0
    questions = _questions(policy)
    heads = store.fact_heads(project, questions=questions)
    new = 0
    for origin in [project, *list_review_project_ids(store, project)]:
        seq, told = heads.get(origin, 0), store.told_since(origin, heads.get(origin, 0), limit=_AT_ONCE)
        while told:
            seq = told[-1].seq
            facts = _read(store, snapshot, origin, told)
            store.add_facts(project, facts, {origin: seq}, questions=questions)
            new += len(facts)
            told = store.told_since(origin, seq, limit=_AT_ONCE) if len(told) == _AT_ONCE else []
    store.judge_facts(project, refused)
    return new


def list_review_project_ids(store: Store, project: str) -> list[str]:
    """Every review project that a project ever had."""
    rooms = {str(record.body["room"]) for record in store.records(project, "room", limit=1000)}
    return sorted(rooms - {""})


def _read(store: Store, snapshot: ProjectSnapshot, origin: str, told: Sequence[Told]) -> list[Fact]:
    project = snapshot.project.id
    answers = {one.seq: _answers(one, snapshot.policy) for one in told}
    known = store.facts_of(project, origin, {one.annotation for one in told})
    speaks = bool(known) or any(answers.values())
    copies = store.source_tasks(project) if speaks and origin != project else {}
    return _facts(snapshot, origin, told, answers, known, copies) if speaks else []


def _facts(
    snapshot: ProjectSnapshot,
    origin: str,
    told: Sequence[Told],
    answers: Mapping[int, Mapping[str, Value]],
    known: Iterable[Fact],
    copies: Mapping[tuple[str, int], int],
) -> list[Fact]:
    """What the events of one log say. Once an annotation has answered, all its later versions are kept, too."""
    project, bots = snapshot.project.id, set(snapshot.project.bots)
    last: dict[int, dict[str, Fact]] = {}  # annotation -> what it said last of each question
    for one in sorted(known, key=lambda one: one.seq):
        last.setdefault(one.annotation, {})[one.name] = one
    facts: list[Fact] = []
    for event in told:
        before, said = last.get(event.annotation, {}), answers[event.seq]
        if event.action == "saved" and event.body is None:
            continue  # forgotten
        body = event.body or {}
        person, number = body.get("person"), body.get("task")
        if person in bots or body.get("imported"):
            continue
        task = number if origin == project else copies.get((origin, int(number or 0)))
        said_s = epoch_s(event.version) if event.action == "saved" else event.received_s
        said_s = max(said_s, *(one.said_s for one in before.values())) if event.action != "saved" and before else said_s
        for name, question in snapshot.policy.feedback.items():
            was = before.get(name)
            if not question.feature or (name not in said and was is None):
                continue
            entity = was.entity if was is not None else _entity(question, snapshot, task)
            if not entity:
                continue
            fact = Fact(
                entity,
                name,
                said.get(name),
                origin,
                event.annotation,
                event.seq,
                was.task if was is not None else int(task or 0),
                person if isinstance(person, int) else None,
                said_s,
                event.received_s,
                counted=origin == project,  # in a review project once its look does
            )
            facts.append(fact)
            last.setdefault(event.annotation, {})[name] = fact
    return facts


def _entity(question: Question, snapshot: ProjectSnapshot, task: int | None) -> str:
    here = snapshot.tasks.get(task) if task is not None else None
    return entity_of(question.entity, here.data) if here is not None else ""


def _answers(event: Told, policy: Policy) -> dict[str, Value]:
    """The indicators that an annotation gives; {} for a skip."""
    result = (event.body or {}).get("result")
    if not isinstance(result, Sequence) or isinstance(result, str) or (event.body or {}).get("was_cancelled"):
        return {}
    regions = [one for one in result if isinstance(one, Mapping)]
    found: dict[str, Value] = {}
    for name, question in policy.feedback.items():
        value = _value(answer_to(name, regions), question) if question.feature else None
        if value is not None:
            found[name] = value
    return found


def _value(said: Any, question: Question) -> Value:
    """What a control holds, as the policy declares it; None for anything else."""
    if question.kind in ("number", "rating"):
        fits = isinstance(said, (int, float)) and not isinstance(said, bool)
        return float(said) if fits else None
    chosen = [one for one in said if one in question.options] if isinstance(said, list) else []
    if question.kind == "choice":
        return str(chosen[0]) if chosen else None
    return tuple(sorted(set(chosen))) or None


def _questions(policy: Policy) -> str:
    """Name the questions that are features: other ones are read from the beginning of the logs."""
    asked = {name: [one.kind, one.entity, list(one.options)] for name, one in policy.feedback.items() if one.feature}
    return hashlib.sha256(canonical_json(asked)).hexdigest()[:16]
