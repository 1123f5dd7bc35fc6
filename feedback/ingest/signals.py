"""Signals: what other systems report about a task, such as a complaint or a late outcome of a decision."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from feedback.errors import EventError
from feedback.policy import Policy
from feedback.policy.reviewer_questions import HUMAN_REVIEW
from feedback.policy.rule_matching import identifier_text, make_data_reader
from feedback.store import Signal, Store
from feedback.store.log.events import AHEAD_S, canonical_json, canonical_time
from feedback.store.log.projections import epoch_s
from ml_backend.app import Mount, make_post_route
from ml_backend.app.openapi import PROJECT
from ml_backend.errors import BodyError
from ml_backend.labelstudio.parsing import read_project_id
from ml_backend.left_out import contained

Answer = dict[str, Any]

_LONGEST = {"id": 200, "source": 200, "note": 2000}
_TEXT_OR_NONE = ["string", "null"]
_BODY: Mapping[str, Any] = {  # for /openapi.json
    "type": "object",
    "required": ["project", "signal"],
    "properties": {
        "project": PROJECT,
        "signal": {"type": "string", "description": "A built-in signal, or one of [signals] in the policy."},
        "task": {"type": ["integer", "null"], "minimum": 1, "description": "None: about the whole project."},
        "key": {
            "type": ["integer", "string", "null"],
            "description": "What you call the task: the value of the field that [tasks] key of the policy names.",
        },
        "value": {"type": ["boolean", "number", "string", "null"]},
        "at": {"type": _TEXT_OR_NONE, "description": "When it happened, such as 2026-11-20T09:30:00Z."},
        "callback": {"type": _TEXT_OR_NONE, "description": "A name of [notify] in the policy."},
        **{name: {"type": _TEXT_OR_NONE, "maxLength": longest} for name, longest in _LONGEST.items()},
    },
    "additionalProperties": False,
}
_KEYS = tuple(_BODY["properties"])
_GIVES: Mapping[str, Any] = {
    "type": "object",
    "required": ["status", "new", "id"],
    "properties": {
        "status": {"type": "string", "enum": ["ok", "parked"]},
        "new": {"type": "boolean"},
        "id": {"type": "string"},
        "task": {"type": "integer", "description": "The task that a key led to."},
        "reason": {"type": "string", "description": "Why it is parked: its task is not known yet, or several are."},
    },
}
_BIGGEST_ID = 2**63 - 1


class SignalHandler:
    """Takes the parsed body of a signal, stores it once, and requests a turn that routes its task again."""

    def __init__(self, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def __call__(self, body: Any) -> Answer:
        """Store one signal and return whether it was new; BodyError if the body is not valid."""
        if not isinstance(body, Mapping):
            raise BodyError(f"the body is a JSON {type(body).__name__}; wanted an object.", hint=_EXAMPLE)
        if unknown := sorted(set(map(str, body)) - set(_KEYS)):
            near = get_close_matches(unknown[0], _KEYS, n=1)
            suggestion = f"; did you mean {near[0]}?" if near else "."
            raise BodyError(f"{unknown[0]:.80} is not a key{suggestion}", hint=_EXAMPLE)
        project = read_project_id(body.get("project"))
        row = self._store.projects.get_project(project)
        if row is None:
            raise BodyError(f"project {project} is not connected.", hint="Connect it: `hitl connect PROJECT`.")
        policy = row.policy
        signal = parse_signal(body, project, policy, now_s=self._clock())
        if signal.external:
            task, parked = find_task_by_key(self._store, project, policy, signal.external)
            signal = replace(signal, task=task, unmatched=parked)
        new = self._store.signals.create_signal(signal)
        if new:
            self._store.jobs.request_job(project, "turn")
        answer: Answer = {"status": "parked" if signal.unmatched else "ok", "new": new, "id": signal.key}
        if signal.external:
            answer |= {"reason": signal.unmatched} if signal.unmatched else {"task": signal.task}
        return answer


def make_signal_mount(store: Store, *, clock: Callable[[], float] = time.time) -> Mount:
    """Return the route /signal for the app to mount."""
    handler = SignalHandler(store, clock=clock)
    return make_post_route("/signal", handler, summary="Report something about a task.", body=_BODY, response=_GIVES)


def parse_signal(body: Mapping[str, Any], project: str, policy: Policy, *, now_s: float) -> Signal:
    """Check a signal against what the policy declares; BodyError names the error and the valid values."""
    name = body.get("signal")
    kinds = policy.all_signals
    if not isinstance(name, str) or name not in kinds:
        near = get_close_matches(str(name)[:80], list(kinds), n=1)
        suggestion = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(kinds)}."
        raise BodyError(
            f"no signal is called {str(name)[:80]!r}; {suggestion}", hint="[signals] of the policy declares more."
        )
    value = body.get("value", True if kinds[name].kind == "flag" else None)
    if problem := kinds[name].problem(value):
        raise BodyError(f"the value of {name} {problem}.")
    task = body.get("task")
    if task is not None and not (isinstance(task, int) and not isinstance(task, bool) and 0 < task <= _BIGGEST_ID):
        raise BodyError("task is no task id; wanted a positive integer, or none for the whole project.")
    external = _external(body, policy)
    if name == HUMAN_REVIEW and task is None and not external:
        raise BodyError(f"{HUMAN_REVIEW} asks for a person for one task; wanted its number, or its key.", hint=_EXAMPLE)
    texts = {key: _text(body, key) for key in _LONGEST}
    callback = _text(body, "callback")
    if callback and callback not in policy.notify:
        known = ", ".join(policy.notify) or "none"
        raise BodyError(f"callback {callback[:80]!r} is not in [notify] of the policy; known: {known}.")
    at_s = _at_s(body, now_s)
    if not texts["id"] and body.get("at") is None:
        raise BodyError("neither id nor at is given, so that a repeat would count twice.", hint=_EXAMPLE)
    content = [name, task, value, at_s, texts["source"], texts["note"], *([external] if external else [])]
    key = texts["id"] or hashlib.sha256(canonical_json(content)).hexdigest()
    return Signal(
        project=project,
        name=name,
        value=value,
        task=task,
        at_s=at_s,
        key=key,
        source=texts["source"],
        note=texts["note"],
        callback=callback,
        external=external,
    )


def find_task_by_key(store: Store, project: str, policy: Policy, key: str) -> tuple[int | None, str]:
    """Return the task with this external key and "", or None and the reason; turns index the keys of new tasks."""
    field = policy.tasks.key
    tasks = store.tasks.list_tasks_by_external_id(project, field, key)
    if len(tasks) == 1:
        return tasks[0], ""
    if tasks:
        several = ", ".join(map(str, tasks))
        return None, f"tasks {several} all have {field} {key[:80]!r}; it waits until one of them does, or name the task"
    return None, f"no task has {field} {key[:80]!r} yet; it waits for one that does"


def match_waiting_signals(store: Store, project: str, policy: Policy) -> int:
    """Index the keys of new tasks and match the signals that wait for them; return how many still wait."""
    if not policy.tasks.key:
        return 0
    read = make_data_reader(policy.tasks.key)
    store.tasks.index_external_ids(project, policy.tasks.key, lambda data: identifier_text(read(data)))
    n_waiting = 0
    for signal in store.signals.list_unmatched_signals(project):
        n_waiting += 1
        with contained("match", f"signal {signal.key}"):
            task, reason = find_task_by_key(store, project, policy, signal.external)
            if task is not None or reason != signal.unmatched:
                store.signals.update_signal_task(signal, task=task, unmatched=reason)
            n_waiting -= task is not None
    return n_waiting


@dataclass(frozen=True, slots=True)
class OutcomeSummary:
    """Late outcomes of the decisions of one model under one policy."""

    model: str
    policy: str
    outcome: str  # where the tasks went
    signal: str
    count: int
    mean: float | None  # of numbers; of flags the share of true, of thumbs the share of up; None for texts


def summarize_outcomes(store: Store, project: str, policy: Policy) -> list[OutcomeSummary]:
    """Join late outcomes to the decisions that were valid when they happened, by model and policy version."""
    late = [name for name, kind in policy.all_signals.items() if kind.outcome]
    found: dict[tuple[str, str, str, str], list[Any]] = {}
    for signal, decided in store.signals.list_signals_with_decisions(project, names=late):
        model, rules, to = (decided.model, decided.policy, decided.outcome) if decided else ("", "", "")
        found.setdefault((model, rules, to, signal.name), []).append(signal.value)
    return [OutcomeSummary(*key, len(values), _mean(values)) for key, values in sorted(found.items())]


def _mean(values: list[Any]) -> float | None:
    counts = Counter(values)
    if set(counts) <= {"up", "down"}:
        return counts["up"] / len(values)
    if all(isinstance(value, (bool, int, float)) for value in values):
        return sum(map(float, values)) / len(values)
    return None


def _external(body: Mapping[str, Any], policy: Policy) -> str:
    """Return the sender's key of the task; "" where the body has the task number or is about the whole project."""
    if (given := body.get("key")) is None:
        return ""
    if not policy.tasks.key:
        raise BodyError(
            "key is given, but the policy does not name the task field that holds it.",
            hint='Set [tasks] key = "order_id" in the policy, or send the task id.',
        )
    if body.get("task") is not None:
        raise BodyError("task and key are both given; wanted one of them.")
    key = identifier_text(given)
    if not key or len(str(given)) > _LONGEST["id"]:
        raise BodyError(f"key is {given!r:.60}; wanted the {policy.tasks.key} of a task.")
    return key


def _at_s(body: Mapping[str, Any], now_s: float) -> float:
    text = body.get("at")
    if text is None:
        return now_s
    wanted = f"at is {text!r:.60}; wanted a time such as 2026-11-20T09:30:00Z."
    if not isinstance(text, str) or not text:
        raise BodyError(wanted)
    try:
        at_s = epoch_s(canonical_time(text))
    except EventError as error:
        raise BodyError(wanted) from error
    if at_s > now_s + AHEAD_S:
        raise BodyError(f"at is {text!r:.60}, which is in the future.", hint="Check the sender's clock.")
    return at_s


def _text(body: Mapping[str, Any], key: str) -> str:
    text = body.get(key)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise BodyError(f"{key} is {text!r:.60}; wanted a text.")
    if len(text) > _LONGEST.get(key, len(text)):
        raise BodyError(f"{key} has {len(text)} characters; wanted at most {_LONGEST[key]}.")
    return text


_EXAMPLE = 'Wanted {"project": 12, "task": 345, "signal": "user_report", "value": "scam", "id": "report-77"}.'
