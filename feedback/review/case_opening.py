"""Opening: cases for what needs one, another round for what is asked for again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feedback.policy import Policy
from feedback.policy.reviewer_questions import HUMAN_REVIEW
from feedback.review.case_triggers import DISAGREEMENT, SKIPPED, needs, reported, requested, second_looks, told_of
from feedback.review.cases import ESCALATED, ON_REQUEST, SECOND_LOOK, Book, Need, is_blind, urgency
from feedback.review.round_state import Round
from feedback.review.state_machine import LIVE
from feedback.store import CaseRow, Signal, Store

_OURS = ("", DISAGREEMENT, SKIPPED, ESCALATED, SECOND_LOOK, ON_REQUEST)  # why a case is here, where no rule sent it


def open_cases(round_: Round) -> None:
    """Open whatever the rules, the votes, the draws and the askers want; close what was deleted."""
    store, snapshot = round_.store, round_.snapshot
    known = store.case_tasks(round_.project)
    gone = [task for task, state in known.items() if task not in snapshot.tasks and state != "withdrawn"]
    for case in store.cases(round_.project, tasks=gone) if gone else []:
        round_.move(case, "withdraw", note="the task was deleted")
    _recall(round_)
    skips = [skip for skipped in round_.skips.values() for skip in skipped]
    wanted = needs(snapshot, round_.consensus_labels, skips, known, model=round_.model, says=round_.says)
    round_.worked.opened += len(round_.book.open(wanted))
    _reported(round_)
    _on_request(round_)
    if snapshot.policy.second_look.share:
        resolved = {case.task: case for case in store.cases(round_.project, states=("resolved",))}
        _open_or_reopen(
            round_, second_looks(snapshot, round_.consensus_labels, resolved, store.case_tasks(round_.project))
        )


def _recall(round_: Round) -> None:
    """Send cases that nobody has begun where the routing, or a policy without their tier, wants them now."""
    routes, policy = round_.snapshot.routes, round_.snapshot.policy
    for case in round_.live(first=False):
        wanted = routes.tiers.get(case.task, round_.first)
        untouched = case.state == "queued" and case.started_s is None and case.rule not in _OURS
        if case.tier not in policy.tiers:
            round_.move(case, "recall", tier=round_.first, note=f"the policy has no tier {case.tier} any more")
        elif untouched and wanted != case.tier and case.task in routes.standing:
            by = next((rule for rule in policy.routing if rule.id == routes.standing[case.task].rule), None)
            now = {"rule": by.id, "skills": by.skills, "why": by.reason or f"rule {by.id}"} if by else {}
            round_.move(case, "recall", tier=wanted, note="the routing sends it elsewhere now", **now)
            round_.worked.left = True


def _reported(round_: Round) -> None:
    """Open again what was decided, where a rule about signals sends it to a later tier."""
    snapshot, rules = round_.snapshot, told_of(round_.snapshot.policy)
    tasks = [task for task in snapshot.routes.tiers if snapshot.routes.standing[task].rule in rules]
    if not tasks:
        return
    told_s = round_.store.received(round_.project, frozenset[str]().union(*rules.values()))
    cases = {case.task: case for case in round_.store.cases(round_.project, tasks=tasks)}
    wanted = reported(snapshot, round_.consensus_labels, cases, told_s, model=round_.model, says=round_.says)
    _open_or_reopen(round_, wanted)


def requests(store: Store, project: str, policy: Policy) -> list[Signal]:
    """Who asked for a person, and has no answer of ours yet."""
    if policy.rights.human_review == "never":
        return []
    return store.raised(project, HUMAN_REVIEW, but=ON_REQUEST)


def _on_request(round_: Round) -> None:
    """Whoever asked for a person gets one, once for each request; the record of it is the proof."""
    signals = requests(round_.store, round_.project, round_.snapshot.policy)
    for signal, need in requested(round_.snapshot, signals, model=round_.model, says=round_.says):
        if (case := _owed(round_, need)) is not None:
            round_.store.record(round_.project, ON_REQUEST, _proof(signal, need, case, round_.book), key=signal.key)


def _owed(round_: Round, need: Need) -> CaseRow | None:
    """The case in which somebody looks: a new one, another round of it, or the one that is under way."""
    if fresh := round_.book.open([need]):
        round_.worked.opened += 1
        return fresh[0]
    (case,) = round_.store.cases(round_.project, tasks=[need.task])
    if case.state not in LIVE:
        return None if case.state == "withdrawn" else round_.reopen(case, need)
    tiers = list(round_.snapshot.policy.tiers)
    below = case.tier in tiers and tiers.index(case.tier) < tiers.index(need.tier)
    changes: dict[str, Any] = {"rule": ON_REQUEST, "priority": min(case.priority, urgency(need.priority))}
    changes |= {"note": need.why, "within_s": need.within_s}
    if below:
        return round_.move(case, "recall", tier=need.tier, why=need.why, **changes)
    if is_blind(case, round_.snapshot.policy):
        changes |= {"why": need.why, "review_project": "", "review_task": None}  # a new copy, which shows everything
    return round_.move(case, "promise", **changes)


def _open_or_reopen(round_: Round, wanted: Sequence[Need]) -> None:
    """Begin a case, or another round of the one that is there."""
    fresh = {case.task for case in round_.book.open(wanted)}
    round_.worked.opened += len(fresh)
    again = {need.task: need for need in wanted if need.task not in fresh}
    for case in round_.store.cases(round_.project, tasks=list(again)) if again else []:
        if case.state not in LIVE and case.state != "withdrawn":
            round_.reopen(case, again[case.task])


def _proof(signal: Signal, need: Need, case: CaseRow, book: Book) -> dict[str, object]:
    """Who asked, when, about which answer of which model, and which case came of it."""
    return {
        "task": need.task,
        "asked_s": signal.at_s,
        "source": signal.source,
        "note": signal.note,
        "case": case.id,
        "round": case.round,
        "tier": case.tier,
        "due_s": case.due_s,
        "model": need.model,
        "answer": need.proposal.key if need.proposal else None,
        "confidence": need.confidence,
        "policy": case.policy,
        "opened_s": book.now_s,
    }
