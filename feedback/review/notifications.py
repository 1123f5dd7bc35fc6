"""Notices: who is told of risks, breaches and final answers; written down first, delivered until they arrive."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from feedback.policy import Policy
from feedback.review.case_context import words
from feedback.store import CaseRow, Record, Store

Post = Callable[[str, bytes, Mapping[str, str]], str]  # url, body, headers -> why it failed, "" where it arrived

SIGNATURE = "X-Hitl-Signature"  # sha256=<hex> of the body, keyed by the target's secret
NOTICE = "notice"  # of a record; `told` once it is delivered
_TOLD = "told"
_AT_ONCE = 20  # a turn: others wait for its end
_GIVE_UP_S = 86_400.0
_LOOKED_AT = 2000  # notices that wait


def note(store: Store, case: CaseRow, what: str, targets: Sequence[str], *, now_s: float, **more: Any) -> None:
    """Write a notice down for each target of the policy; one for each version of the case."""
    for target in targets:
        body = {"to": target, "says": says(case, what, **more), "at_s": now_s}
        store.record(case.project, NOTICE, body, key=f"{case.id}-{case.version}-{target}")


def says(case: CaseRow, what: str, **more: Any) -> dict[str, Any]:
    """The body of a notice: what happened to which case; nothing of the task's own data."""
    return {
        "what": what,
        "project": case.project,
        "task": case.task,
        "case": case.id or None,
        "round": case.round,
        "tier": case.tier,
        "state": case.state,
        "answer": None if case.answer is None else words(case.answer),
        "why": case.why,
        "due_s": case.due_s,
        **more,
    }


def deliver(store: Store, project: str, policy: Policy, post: Post, *, now_s: float) -> list[str]:
    """Deliver what was written down and has not arrived; gives what is wrong, in words.

    A target that does not answer is left alone until the next turn, and for good a day after the notice.
    """
    since_s = now_s - 2 * _GIVE_UP_S
    waiting = store.outstanding(project, NOTICE, but=_TOLD, since_s=since_s, limit=_LOOKED_AT)
    notes: list[str] = []
    silent: set[str] = set()
    tried = 0
    for record in waiting:
        url, secret, problem = _target(record, policy, store)
        if not problem and url in silent:
            continue  # whoever does answer need not wait for it
        tried += 1
        if tried > _AT_ONCE:
            break
        if not problem:
            body = orjson.dumps(record.body["says"])
            failed = post(url, body, _headers(body, secret, record.key))
            if failed and now_s - float(record.body["at_s"]) < _GIVE_UP_S:
                silent.add(url)
                notes.append(f"notice {record.key} is not delivered yet: {failed}")
                continue
            problem = f"given up after a day: {failed}" if failed else ""
        store.record(project, _TOLD, {"problem": problem, "at_s": now_s}, key=record.key)
        if problem:
            notes.append(f"notice {record.key} is not delivered: {problem}")
    return notes


def _target(record: Record, policy: Policy, store: Store) -> tuple[str, str, str]:
    """(url, secret, why there is none)."""
    named = policy.notify.get(str(record.body["to"]))
    if named is None:
        return "", "", f"the policy has no notify.{record.body['to']} any more"
    return named.url, store.secret(f"notify {named.secret}") if named.secret else "", ""


def _headers(body: bytes, secret: str, key: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    if secret:
        headers[SIGNATURE] = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return headers
