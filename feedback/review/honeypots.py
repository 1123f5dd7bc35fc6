"""Honeypots: cases whose answer is known, put among the others, so that reviewers are measured where truth is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from feedback.labelling_platform.interface import ReviewTask
from feedback.review import sla
from feedback.review.case_context import facts, history
from feedback.review.cases import SECOND_LOOK
from feedback.review.review_task_content import read_said, task_data
from feedback.review.round_state import Round
from feedback.stats.hash_sampling import draw
from feedback.store import CaseRow, Record, ReviewRow, Store
from feedback.store.log.projections import epoch_s

ROUND = 0  # of a look at a honeypot: no round of any case
_KIND = "honeypot"
_KNOWN = 1000  # honeypots that are remembered at once


def choose(round_: Round, keys: Sequence[str]) -> list[tuple[CaseRow, ReviewTask]]:
    """A known case for a share of new copies, drawn by their keys; nothing tells it from a second look.

    Known are cases that several people decided alike, or that went through more than one tier.
    """
    share = round_.snapshot.policy.second_look.honeypots
    secret = round_.snapshot.draws.secret
    drawn = [key for key in keys if share and draw(secret, "honeypot", key) < share]
    if not drawn:
        return []
    known = [case for case in round_.store.cases(round_.project, states=("resolved",)) if case.answer is not None]
    looks = round_.store.looks_of([case.id for case in known])
    sure = [case for case in known if case.task in round_.snapshot.tasks and _agreed(case, looks[case.id]) >= 2]
    if not sure:
        return []
    chosen = [sure[int(draw(secret, "honeypot case", key) * len(sure))] for key in drawn]
    # of a decided case, too: a number that no case has would tell a honeypot, and one that waits would be taken for it
    numbers = [sure[int(draw(secret, "honeypot number", key) * len(sure))].id for key in drawn]
    pots = zip(chosen, drawn, numbers, strict=True)
    return [(case, _copy(round_, case, key, number)) for case, key, number in pots]


def remember(store: Store, project: str, tier: str, room: str, task: int, case: CaseRow) -> None:
    """Note that a task of a review project is a honeypot."""
    store.record(project, _KIND, {"room": room, "task": task, "case": case.id, "tier": tier}, key=f"{room}/{task}")


def placed(store: Store, project: str) -> dict[str, dict[int, Record]]:
    """The newest honeypots, by room and task."""
    found: dict[str, dict[int, Record]] = {}
    for record in store.records(project, _KIND, limit=_KNOWN):
        found.setdefault(str(record.body["room"]), {})[int(record.body["task"])] = record
    return found


def read(round_: Round, pots: Mapping[str, Mapping[int, Record]]) -> None:
    """Keep what reviewers said of honeypots; it counts for their accuracy and for nothing else."""
    store, snapshot = round_.store, round_.snapshot
    closed = {
        (room, row.id): record
        for room, records in pots.items()
        for row in store.task_rows(room)
        if (record := records.get(row.id)) is not None and row.is_labeled
    }
    known = {(look.review_project, look.annotation) for look in store.looks(round_.project) if look.round == ROUND}
    looks: list[ReviewRow] = []
    for (room, task), record in closed.items():
        for one in store.annotations(room, task=task):
            if (room, one.id) in known or one.was_cancelled or one.imported:
                continue
            said = read_said(one, snapshot.control, snapshot.policy)
            body: Mapping[str, Any] = record.body
            looks.append(
                ReviewRow(
                    review_project=room,
                    annotation=one.id,
                    case=int(body["case"]),
                    round=ROUND,
                    tier=str(body["tier"]),
                    entered_s=0.0,
                    person=one.person,
                    verdict=said.verdict,
                    answer=said.answer,
                    reason=said.reason,
                    comment=said.comment,
                    feedback=said.feedback,
                    shown=None,
                    seen=one.updated_at,
                    at_s=epoch_s(one.updated_at),
                    lead_time_s=one.lead_time_s,
                    counted=False,
                    refused="",
                )
            )
    if looks:
        store.save_looks(looks)


def _agreed(case: CaseRow, looks: Sequence[ReviewRow]) -> int:
    """How many people gave the final answer."""
    return len({look.person for look in looks if look.counted and look.answer == case.answer})


def _copy(round_: Round, case: CaseRow, key: str, number: int) -> ReviewTask:
    """A known case as a second look at it would be handed out beside the copy of this key, under another number."""
    tier = key.split("-", 3)[3].rpartition("-")[0]
    fresh = CaseRow(round_.project, case.task, "queued", tier, id=number, rule=SECOND_LOOK, copies=1)
    shown = sla.enter(fresh, round_.snapshot.policy.tiers[tier], round_.book.calendar(tier), round_.book.now_s)
    about, before = facts(shown, round_.snapshot), history(shown, round_.snapshot, (), (), ())
    return ReviewTask(task_data(shown, round_.snapshot.tasks[case.task].data, about, before), (), 0.5, 1)
