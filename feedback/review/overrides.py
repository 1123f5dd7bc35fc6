"""Overrides: each human answer next to the model's, and the reason where a person changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from feedback.project.incremental_caches import RecentProjects
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.blind_answers import list_tasks_to_check_again
from feedback.review.case_state_machine import ON_REQUEST, SECOND_LOOK, is_blind
from feedback.store import CaseRow, OverrideRow, ReviewRow, Store, Vote, WindowRow
from feedback.training.model_cache import PredictionCache
from ml_backend.left_out import compute_rows, contained
from ml_backend.records import Answer
from ml_backend.registry import Bundle

NOT_GIVEN = "not given"
_REASON_CONTROLS = ("hitl_reason", "reason")  # possible names of the control for reasons in a source project

_Prediction = tuple[Answer, float | None, str]  # answer, confidence, model version


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Up to which snapshot the overrides of a project are recorded."""

    revision: int
    champion: str
    retry: frozenset[int]  # tasks with a vote on a prediction that is not recorded yet


class OverrideCache:
    """Records the overrides of projects, and looks only at tasks that changed since the last time."""

    def __init__(self) -> None:
        self._recorded = RecentProjects[_Recorded]()

    def record(
        self, store: Store, snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache
    ) -> None:
        """Record each new vote whose model answer is known.

        The model's answer is the prediction that the vote names. For a blind vote it is the champion's, if the champion
        was trained before the vote: a model that has learned from an answer cannot be compared with it.
        """
        project, version = snapshot.project.id, champion.version if champion else ""
        last, votes = self._recorded.get(project), snapshot.votes
        changed = None if last is None or last.champion != version else snapshot.changes.since(last.revision)
        if last is not None and changed is not None:
            by_task = snapshot.votes_by_task
            votes = tuple(vote for task in sorted(changed | last.retry) for vote in by_task.get(task, ()))
        looked_at = None if changed is None else [vote.annotation for vote in votes]
        recorded = store.overrides.list_override_times(project, looked_at)
        new = [vote for vote in votes if recorded.get(vote.annotation) != vote.at_s]
        shown = store.windows.list_shown_predictions(project, [vote.shown for vote in new if vote.shown is not None])
        if new:
            rows = _compare(store, snapshot, champion, prediction_cache, new, shown)

            def save(part: Sequence[OverrideRow]) -> Sequence[OverrideRow]:
                store.overrides.save_overrides(part)
                return part

            compute_rows("record the override", rows, save, name=lambda row: f"task {row.task}")
        retry = list_tasks_to_check_again([vote for vote in new if vote.shown is not None and vote.shown not in shown])
        self._recorded.put(project, _Recorded(snapshot.changes.revision, version, retry), size=len(retry))


def _compare(
    store: Store,
    snapshot: ProjectSnapshot,
    champion: Bundle | None,
    prediction_cache: PredictionCache,
    votes: Sequence[Vote],
    shown: Mapping[int, WindowRow],
) -> list[OverrideRow]:
    """Return each of these votes whose model answer is known next to it."""
    blind = [
        vote for vote in votes if vote.shown is None or (vote.shown in shown and _shows_nothing(shown[vote.shown]))
    ]
    comparable = [vote for vote in blind if champion and vote.at_s > champion.created_s]
    predicted = _predict_blind(champion, prediction_cache, snapshot, comparable)
    reasons = _source_reasons(store, snapshot, sorted({vote.task for vote in votes}))
    rows: list[OverrideRow] = []
    for vote in votes:
        row = shown.get(vote.shown) if vote.shown is not None else None
        if row is not None and not row.is_answer_ours:
            continue  # a prediction that is not ours says nothing of our model
        if row is not None and row.answer is not None:
            prediction: _Prediction = (row.answer, row.confidence, row.version.rpartition("+q")[0])
            vote_is_blind = False
        elif vote.annotation in predicted:
            prediction, vote_is_blind = predicted[vote.annotation], True
        else:
            continue
        reason = reasons.get(vote.annotation, NOT_GIVEN)
        tier = snapshot.policy.first_tier
        with contained("record the override", f"task {vote.task}"):
            made = _make_row(
                snapshot, vote, vote.task, vote.answer, prediction, blind=vote_is_blind, tier=tier, reason=reason
            )
            rows.append(made)
    return rows


def _shows_nothing(row: WindowRow) -> bool:
    return row.answer is None and row.is_answer_ours


def override_of_review(review: ReviewRow, snapshot: ProjectSnapshot, case: CaseRow) -> OverrideRow | None:
    """Return a reviewer's answer next to the model's; None if the review does not count or the model gave no answer.

    `blind` is a review that was shown no answer.
    """
    prediction = _prediction_on(case)
    if not review.counted or review.answer is None or prediction is None:
        return None
    # a review without a required reason does not count
    blind, reason = is_blind(case, snapshot.policy), review.reason
    row = _make_row(
        snapshot, review, case.task, review.answer, prediction, blind=blind, tier=review.tier, reason=reason
    )
    return replace(row, annotation_version=review.annotation_version)


def _make_row(
    snapshot: ProjectSnapshot,
    given: Vote | ReviewRow,
    task: int,
    answer: Answer,
    prediction: _Prediction,
    *,
    blind: bool,
    tier: str,
    reason: str,
) -> OverrideRow:
    """Return a vote or a review next to the model's answer; `reason` is that of a changed answer."""
    predicted, confidence, model = prediction
    return OverrideRow(
        project=snapshot.project.id,
        annotation=given.annotation,
        task=task,
        person=given.person,
        shown=predicted,
        confidence=confidence,
        model=model,
        answer=answer,
        changed=answer != predicted,
        blind=blind,
        reason=reason if answer != predicted else "",
        segment=segment_of(snapshot, task),
        tier=tier,
        policy=snapshot.policy.hash,
        at_s=given.at_s,
        annotation_version="",
    )


def _source_reasons(store: Store, snapshot: ProjectSnapshot, tasks: Sequence[int]) -> dict[int, str]:
    """Return the reason that each annotation of the source project gives, where its label config asks for one."""
    asked = {control.name for control in snapshot.config.controls if control.kind == "choices"}
    control = next((name for name in _REASON_CONTROLS if name in asked), None)
    if control is None:
        return {}
    codes = {title: code for code, title in snapshot.policy.reasons.items()}
    found: dict[int, str] = {}
    for vote in store.votes.list_votes(snapshot.project.id, control=control, tasks=tasks):
        value = vote.answer.value
        if isinstance(value, tuple) and value and (label := str(value[0])):
            found[vote.annotation] = codes.get(label, label)
    return found


def segment_of(snapshot: ProjectSnapshot, task: int) -> str:
    """Return the segment of a task: the queue that the routing chose for it."""
    route = snapshot.routes.standing.get(task)
    return route.queue if route else "default"


def _prediction_on(case: CaseRow) -> _Prediction | None:
    """Return the model's answer to a case before anybody reviewed it.

    The model may have learned the answer of a case that was decided before; then only a proposal of the model counts.
    """
    if case.proposed_by == "model" and case.proposal is not None:
        return case.proposal, case.confidence, case.model
    prediction = case.prediction
    if "answer" not in prediction or case.round > 1 or case.rule in (SECOND_LOOK, ON_REQUEST):
        return None
    return Answer.from_key(str(prediction["answer"])), prediction.get("confidence"), str(prediction["model"])


def _predict_blind(
    champion: Bundle | None, prediction_cache: PredictionCache, snapshot: ProjectSnapshot, votes: Sequence[Vote]
) -> dict[int, _Prediction]:
    """Return the champion's answer for each of these votes, by annotation."""
    if champion is None or not votes:
        return {}
    proba = prediction_cache.proba(champion, snapshot, sorted({vote.task for vote in votes}))
    found: dict[int, _Prediction] = {}
    for vote in votes:
        answer, confidence = champion.predict_label(proba[vote.task])
        if answer is not None:
            found[vote.annotation] = (answer, confidence, champion.version)
    return found
