"""Notices: who is told of risks, breaches and final answers; written down first, delivered until they arrive."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from feedback.policy import Policy
from feedback.review.review_context import ReviewContext
from feedback.review.review_task_content import format_answer
from feedback.store import CaseRow, Record, Signal, Store
from ml_backend.records import Answer

Post = Callable[[str, bytes, Mapping[str, str]], str]  # url, body, headers -> why it failed, "" where it arrived

SIGNATURE = "X-Hitl-Signature"  # sha256=<hex> of the body, keyed by the target's secret
NOTIFICATION = "notice"  # of a record; `told` once it is delivered
_DELIVERED = "told"
_MAX_PER_TURN = 20  # a turn: others wait for its end
_GIVE_UP_AFTER_S = 86_400.0
_MAX_PENDING = 2000  # notices that wait


def record_notification(
    store: Store, case: CaseRow, what: str, targets: Sequence[str], *, now_s: float, **more: Any
) -> None:
    """Write a notice down for each target of the policy; one for each version of the case."""
    for target in targets:
        body = {"to": target, "says": notification_body(case, what, **more), "at_s": now_s}
        store.records.create_record(case.project, NOTIFICATION, body, key=f"{case.id}-{case.version}-{target}")


def notification_body(case: CaseRow, what: str, **more: Any) -> dict[str, Any]:
    """The body of a notice: what happened to which case; nothing of the task's own data."""
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
    """Deliver what was written down and has not arrived; gives what is wrong, in words.

    A target that does not answer is left alone until the next turn, and for good a day after the notice.
    """
    since_s = now_s - 2 * _GIVE_UP_AFTER_S
    waiting = store.records.list_pending_records(
        project, NOTIFICATION, but=_DELIVERED, since_s=since_s, limit=_MAX_PENDING
    )
    notes: list[str] = []
    silent: set[str] = set()
    tried = 0
    for record in waiting:
        url, secret, problem = _target(record, policy, store)
        if not problem and url in silent:
            continue  # whoever does answer need not wait for it
        tried += 1
        if tried > _MAX_PER_TURN:
            break
        if not problem:
            body = orjson.dumps(record.body["says"])
            failed = post(url, body, _headers(body, secret, record.key))
            if failed and now_s - float(record.body["at_s"]) < _GIVE_UP_AFTER_S:
                silent.add(url)
                notes.append(f"notice {record.key} is not delivered yet: {failed}")
                continue
            problem = f"given up after a day: {failed}" if failed else ""
        store.records.create_record(project, _DELIVERED, {"problem": problem, "at_s": now_s}, key=record.key)
        if problem:
            notes.append(f"notice {record.key} is not delivered: {problem}")
    return notes


def _target(record: Record, policy: Policy, store: Store) -> tuple[str, str, str]:
    """(url, secret, why there is none)."""
    recipient = policy.notify.get(str(record.body["to"]))
    if recipient is None:
        return "", "", f"the policy has no notify.{record.body['to']} any more"
    return (
        recipient.url,
        store.secrets.get_or_create_secret(f"notify {recipient.secret}") if recipient.secret else "",
        "",
    )


def _headers(body: bytes, secret: str, key: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    if secret:
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return headers


def notify_requesters(context: ReviewContext) -> None:
    """Write down what those are to be told who were told nothing yet, as far as their task is decided.

    They named one of [notify]: whoever may send signals cannot make us call any machine.
    """
    store, project = context.store, context.project
    waiting = store.signals.list_unanswered_signals(project, NOTIFICATION)
    if not waiting:
        return
    cases = {
        case.task: case for case in store.cases.list_cases(project, tasks=sorted({one.task or 0 for one in waiting}))
    }
    wanting = context.consensus_labels.wanting  # others are asked, and may change the answer
    agreed = {one.task: one.answer for one in context.consensus_labels.settled if one.task not in wanting}
    for signal in waiting:
        case = cases.get(signal.task or 0)
        if case is not None and case.state == "resolved":
            _record_for_signal(store, signal, case, now_s=context.workflow.now_s)
        elif case is None and signal.task in agreed:
            _record_for_signal(
                store, signal, _case_from_votes(context, signal.task, agreed[signal.task]), now_s=context.workflow.now_s
            )


def notify_requesters_of_change(store: Store, case: CaseRow, *, now_s: float) -> None:
    """Write down a new answer, which is about to stand, for those who were told another one."""
    case = replace(case, state="resolved")
    for signal in store.signals.list_signals(case.project, task=case.task):
        last = _last_notification(store, signal, case) if signal.callback else None
        if last is not None and last.body["says"]["answer"] != notification_body(case, "decided")["answer"]:
            _record_for_signal(store, signal, case, now_s=now_s, round_number=case.round)


def _record_for_signal(store: Store, signal: Signal, case: CaseRow, *, now_s: float, round_number: int = 0) -> None:
    body = notification_body(case, "decided", signal=signal.name, asked=signal.key)
    key = f"asked-{signal.id}{f'-{round_number}' if round_number else ''}"
    store.records.create_record(
        signal.project, NOTIFICATION, {"to": signal.callback, "says": body, "at_s": now_s}, key=key
    )


def _last_notification(store: Store, signal: Signal, case: CaseRow) -> Record | None:
    """What somebody was told last; None where they were told nothing."""
    endings = (*(f"-{number}" for number in range(case.round - 1, 0, -1)), "")
    told = (
        store.records.get_latest_record(signal.project, NOTIFICATION, key=f"asked-{signal.id}{ending}")
        for ending in endings
    )
    return next(filter(None, told), None)


def _case_from_votes(context: ReviewContext, task: int, answer: Answer) -> CaseRow:
    """What votes alone decided, as a case would say it."""
    return CaseRow(context.project, task, "resolved", context.first_tier, why="people agree", answer=answer)
