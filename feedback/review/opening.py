"""Opening: cases for what needs one, another round for what is asked for again."""

from __future__ import annotations

from collections.abc import Sequence

from feedback.review.cases import ESCALATED, ON_REQUEST, SECOND_LOOK, Book, Need
from feedback.review.needs import DISAGREEMENT, SKIPPED, needs, requested, second_looks
from feedback.review.round import Round
from feedback.review.table import LIVE
from feedback.store import CaseRow, Signal

_OURS = ("", DISAGREEMENT, SKIPPED, ESCALATED, SECOND_LOOK, ON_REQUEST)  # why a case is here, where no rule sent it


def open_cases(round_: Round) -> None:
    """Open whatever the rules, the votes, the draws and the askers want; close what was deleted."""
    store, scene = round_.store, round_.scene
    known = store.case_tasks(round_.project)
    gone = [task for task, state in known.items() if task not in scene.tasks and state != "withdrawn"]
    for case in store.cases(round_.project, tasks=gone) if gone else []:
        round_.move(case, "withdraw", note="the task was deleted")
    _recall(round_)
    skips = [skip for skipped in round_.skips.values() for skip in skipped]
    wanted = needs(scene, round_.settlement, skips, known, model=round_.model, says=round_.says)
    round_.worked.opened += len(round_.book.open(wanted))
    _on_request(round_)
    if scene.policy.second_look.share:
        resolved = {case.task: case for case in store.cases(round_.project, states=("resolved",))}
        _open_or_reopen(round_, second_looks(scene, round_.settlement, resolved, store.case_tasks(round_.project)))


def _recall(round_: Round) -> None:
    """Send cases that nobody has begun where the routing, or a policy without their tier, wants them now."""
    routes, policy = round_.scene.routes, round_.scene.policy
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


def _on_request(round_: Round) -> None:
    """Whoever asked for a person gets one, once for each request; the record of it is the proof."""
    store, project = round_.store, round_.project
    answered = {record.key for record in store.records(project, ON_REQUEST, limit=10_000)}
    signals = [one for one in store.signals(project, name="human_review") if one.key not in answered]
    for signal, need in requested(round_.scene, signals, model=round_.model, says=round_.says):
        for case in _open_or_reopen(round_, [need]):
            store.record(project, ON_REQUEST, _proof(signal, need, case, round_.book), key=signal.key)


def _open_or_reopen(round_: Round, wanted: Sequence[Need]) -> list[CaseRow]:
    """Begin a case, or another round of the one that is there; a live case is what was wanted already."""
    cases = round_.book.open(wanted)
    round_.worked.opened += len(cases)
    fresh = {case.task for case in cases}
    again = {need.task: need for need in wanted if need.task not in fresh}
    for case in round_.store.cases(round_.project, tasks=list(again)) if again else []:
        if case.state in LIVE:
            cases.append(case)
        elif case.state != "withdrawn":
            begun = round_.reopen(case, again[case.task])
            cases += [begun] if begun is not None else []
    return cases


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
