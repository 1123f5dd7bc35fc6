"""The desk: one round over a project's cases: open, settle, read and decide, watch, hand out, bring back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from feedback.labelling_platform.interface import ReviewProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.assignment import bring_back, hand_out
from feedback.review.case_decisions import decide_cases
from feedback.review.case_opening import open_cases, requests
from feedback.review.case_triggers import Says
from feedback.review.cases import Book
from feedback.review.eligibility import Admitted, admit, open_again
from feedback.review.errors import CaseMoved
from feedback.review.first_tier import advance
from feedback.review.notifications import Post, deliver
from feedback.review.requesters import tell
from feedback.review.review_answers import Staff
from feedback.review.round_state import Round, Worked, since
from feedback.review.sla_watch import watch_clocks
from feedback.review.state_machine import LIVE
from feedback.store import Store
from feedback.training.explanations import opinion
from feedback.training.label_decisions import ConsensusLabels
from feedback.training.prediction_cache import PredictionCache
from ml_backend.errors import LabelStudioError
from ml_backend.records import Answer
from ml_backend.registry import Bundle


class ReviewRounds:
    """Review of every project over one store; without rooms it opens and settles cases, and hands nothing out."""

    def __init__(
        self, store: Store, rooms: ReviewProjects | None, *, clock: Callable[[], float], post: Post | None = None
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._clock = clock
        self._post = post
        self._emails: dict[int, str] = {}  # asked of Label Studio when somebody new has answered

    def admit(self, snapshot: ProjectSnapshot) -> Admitted:
        """The scene without the votes that do not count: of people who may not answer in the first tier.

        While Label Studio is away, votes of people whom we do not know yet count.
        """
        if not snapshot.policy.people or self._rooms is None:
            return Admitted(snapshot)
        if not {vote.person for vote in snapshot.votes} <= set(self._emails):
            try:
                self._emails = dict(self._rooms.emails())
            except LabelStudioError:
                return Admitted(snapshot)
        return admit(self._store, snapshot, Staff(self._emails))

    def turn(
        self,
        snapshot: ProjectSnapshot,
        consensus_labels: ConsensusLabels,
        champion: Bundle | None,
        prediction_cache: PredictionCache,
        *,
        admitted: Admitted | None = None,
        gather: Callable[[str], object] = lambda _room: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> Worked:
        """Do whatever the cases of a project ask for now. Safe to run twice, or to kill anywhere.

        `gather` brings in what changed in a review project, `may_write`
        is asked before each write to Label Studio.
        """
        store, policy = self._store, snapshot.policy
        waits = bool(admitted and admitted.refused) or bool(policy.notify)
        asked = waits or reviews(snapshot) or store.cases(snapshot.project.id, states=LIVE)
        if not (asked or requests(store, snapshot.project.id, policy)):
            return Worked()
        book = Book(self._store, snapshot.project.id, snapshot.policy, now_s=self._clock())
        says = _says(snapshot, champion, prediction_cache)
        version = champion.version if champion else ""
        round_ = Round(self._store, book, snapshot, consensus_labels, version, says, gather, may_write)
        round_.opine = _opines(snapshot, champion, prediction_cache)
        open_cases(round_)
        _settle(round_)
        rooms = self._rooms if snapshot.project.connected else None
        try:
            if rooms is not None:
                decide_cases(round_, rooms.emails)
            watch_clocks(round_, rooms)
            if rooms is not None:
                if admitted is not None:
                    round_.worked.reopened = open_again(
                        self._store, rooms, admitted, consensus_labels, may_write, now_s=book.now_s
                    )
                hand_out(round_, rooms)
                bring_back(round_, rooms)
        except LabelStudioError as error:
            round_.worked.notes.append(f"review goes on later: {error}")
        tell(round_)
        if self._post is not None:
            now_s = self._clock()
            round_.worked.notes += deliver(self._store, round_.project, snapshot.policy, self._post, now_s=now_s)
        return round_.worked


def reviews(snapshot: ProjectSnapshot) -> bool:
    """Whether a policy asks for review at all: another tier, or a clock on the only one."""
    tiers = list(snapshot.policy.tiers.values())
    return len(tiers) > 1 or bool(tiers[0].first_action_s or tiers[0].resolve_s)


def _says(snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache) -> Says:
    """What the champion says of a task; all tasks are asked about at the first question, one by one it is slow."""
    rows = cache(lambda: prediction_cache.proba(champion, snapshot, list(snapshot.tasks)))

    def says(task: int) -> tuple[Answer | None, float | None]:
        return (None, None) if champion is None else champion.says(rows()[task])

    return says


def _opines(
    snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache
) -> Callable[[int], Mapping[str, Any]]:
    """The same with what spoke for it; asked of the few cases that are handed out."""

    def opines(task: int) -> Mapping[str, Any]:
        rows = prediction_cache.proba(champion, snapshot, [task])
        return {} if champion is None else opinion(champion, snapshot.data(task), rows[task])

    return opines


def _settle(round_: Round) -> None:
    """Move the cases of the first tier by what people vote and skip in the source project."""
    agreed = {one.task: one for one in round_.consensus_labels.settled}
    for case in round_.live(first=True):
        try:
            after = advance(
                round_.book,
                case,
                since(case, round_.votes.get(case.task, ())),
                since(case, round_.skips.get(case.task, ())),
                agreed=agreed.get(case.task),
                wanting=case.task in round_.consensus_labels.wanting,
            )
        except CaseMoved as error:
            round_.worked.notes.append(str(error))
            continue
        round_.worked.moved += after is not case
        round_.worked.resolved += after.state == "resolved"
