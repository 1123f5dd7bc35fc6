"""Notifications of risks, breaches and final answers: recorded first, then delivered until they arrive."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from secrets import token_urlsafe
from typing import Any

import orjson

from feedback.policy import Policy
from feedback.policy.tiers import Notify
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import format_answer
from feedback.store import CaseRow, Record, Signal, Store

Post = Callable[[str, bytes, Mapping[str, str]], str]  # (url, body, headers) -> why it failed; "" where it arrived

SIGNATURE = "X-Hitl-Signature"  # sha256=<hex> of the body, keyed by the target's secret
NOTIFICATION = "notification"  # record kind
_DELIVERED = "notification delivered"  # record kind, with the notification's key
_MAX_PER_TURN = 20  # the rest of the turn waits for them
_MAX_PENDING = 2000
_GIVE_UP_AFTER_S = 86_400.0


def record_notification(
    store: Store, case: CaseRow, what: str, targets: Sequence[str], *, now_s: float, **more: Any
) -> None:
    """Record a notification for each target of the policy, at most one for each version of the case."""
    for target in targets:
        body = {"target": target, "payload": notification_payload(case, what, **more), "at_s": now_s}
        store.records.create_record(case.project, NOTIFICATION, body, key=f"{case.id}-{case.version}-{target}")


def notification_payload(case: CaseRow, what: str, **more: Any) -> dict[str, Any]:
    """Return the JSON that is sent: what happened to which case, without the task's own data."""
    return {
        "what": what,
        "project": case.project,
        "task": case.task,
        "case": case.id or None,
        "round": case.round,
        "tier": case.tier,
        "state": case.state,
        "answer": None if case.answer is None else format_answer(case.answer),
        "why": case.why,
        "due_s": case.due_s,
        **more,
    }


def deliver_notifications(store: Store, project: str, policy: Policy, post: Post, *, now_s: float) -> list[str]:
    """Deliver the recorded notifications that have not arrived; return the problems.

    A target that does not answer gets no further request in this turn. A notification is given up after a day.
    """
    since_s = now_s - 2 * _GIVE_UP_AFTER_S
    pending = store.records.list_pending_records(
        project, NOTIFICATION, done_kind=_DELIVERED, since_s=since_s, limit=_MAX_PENDING
    )
    problems: list[str] = []
    unreachable: set[str] = set()
    n_tried = 0
    for record in pending:
        name = str(record.body["target"])
        target = policy.notify.get(name)
        if target is not None and target.url in unreachable:
            continue  # the other targets need not wait for it
        n_tried += 1
        if n_tried > _MAX_PER_TURN:
            break
        problem = f"the policy has no notify.{name} any more"
        if target is not None:
            body = orjson.dumps(record.body["payload"])
            failure = post(target.url, body, _headers(body, target, record.key, store))
            if failure and now_s - float(record.body["at_s"]) < _GIVE_UP_AFTER_S:
                unreachable.add(target.url)
                problems.append(f"notification {record.key} is not delivered yet: {failure}")
                continue
            problem = f"given up after a day: {failure}" if failure else ""
        store.records.create_record(project, _DELIVERED, {"problem": problem, "at_s": now_s}, key=record.key)
        if problem:
            problems.append(f"notification {record.key} is not delivered: {problem}")
    return problems


def notify_requesters(context: ReviewContext) -> None:
    """Record a notification for each requester whose task is decided and who was not notified yet.

    Requesters name an entry of [notify]: a signal cannot make us call any other machine.
    """
    store, project, now_s = context.store, context.project, context.workflow.now_s
    unanswered = store.signals.list_unanswered_signals(project, NOTIFICATION)
    if not unanswered:
        return
    tasks = sorted({signal.task or 0 for signal in unanswered})
    cases = {case.task: case for case in store.cases.list_cases(project, tasks=tasks)}
    labels = context.consensus_labels
    # where another vote is wanted, the answer may still change
    settled = {label.task: label.answer for label in labels.settled if label.task not in labels.needs_more_votes}
    for signal in unanswered:
        case = cases.get(signal.task or 0)
        if case is not None and case.state == "resolved":
            _record_for_signal(store, signal, case, now_s=now_s)
        elif case is None and signal.task in settled:
            answer = settled[signal.task]
            case = CaseRow(
                project, signal.task, "resolved", context.policy.first_tier, why="people agree", answer=answer
            )
            _record_for_signal(store, signal, case, now_s=now_s)


def notify_requesters_of_change(store: Store, case: CaseRow, *, now_s: float) -> None:
    """Record a notification for each requester who was notified of another answer than the one that is now final."""
    case = replace(case, state="resolved")
    answer = notification_payload(case, "decided")["answer"]
    for signal in store.signals.list_signals(case.project, task=case.task):
        last = _last_notification(store, signal, case) if signal.callback else None
        if last is not None and last.body["payload"]["answer"] != answer:
            _record_for_signal(store, signal, case, now_s=now_s, round_number=case.round)


def _record_for_signal(store: Store, signal: Signal, case: CaseRow, *, now_s: float, round_number: int = 0) -> None:
    payload = notification_payload(case, "decided", signal=signal.name, asked=signal.key)
    key = f"asked-{signal.id}{f'-{round_number}' if round_number else ''}"
    body = {"target": signal.callback, "payload": payload, "at_s": now_s}
    store.records.create_record(signal.project, NOTIFICATION, body, key=key)


def _last_notification(store: Store, signal: Signal, case: CaseRow) -> Record | None:
    """Return the last notification to a requester; None where there was none."""
    for ending in (*(f"-{number}" for number in range(case.round - 1, 0, -1)), ""):
        record = store.records.get_latest_record(signal.project, NOTIFICATION, key=f"asked-{signal.id}{ending}")
        if record is not None:
            return record
    return None


def notification_secret(store: Store, name: str, *, new: bool = False) -> str:
    """Return the secret of this name that signs notifications; made when it is first asked for, or `new`."""
    if new:
        store.secrets.save_secret(f"notify {name}", token_urlsafe())
    return store.secrets.get_or_create_secret(f"notify {name}")


def _headers(body: bytes, target: Notify, key: str, store: Store) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    if target.secret:
        secret = notification_secret(store, target.secret)
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return headers
