"""Reasons: each human answer beside what the model said, and why it was changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_workflow import ON_REQUEST, SECOND_LOOK, is_blind
from feedback.store import CaseRow, OverrideRow, ReviewRow, Store, Vote, WindowRow
from feedback.training.prediction_cache import PredictionCache
from ml_backend.label_config import LabelConfig
from ml_backend.records import Answer
from ml_backend.registry import Bundle

NOT_GIVEN = "not given"
_CONTROLS = ("hitl_reason", "reason")  # what a reason's control is called in a source project


def record_overrides(
    store: Store, snapshot: ProjectSnapshot, champion: Bundle | None, prediction_cache: PredictionCache
) -> int:
    """Keep a row for each new vote of which we know what the model said; gives how many changed the model's answer.

    What was shown is the prediction that the vote names. On a blind vote it is what the champion says, provided that
    it was trained before the vote: a model that has learned from an answer cannot be held against it.
    """
    project = snapshot.project.id
    known = store.overrides.list_override_times(project)
    new = [vote for vote in snapshot.votes if known.get(vote.annotation) != vote.at_s]
    if not new:
        return 0
    shown = store.windows.list_shown_predictions(project, [vote.shown for vote in new if vote.shown is not None])
    blind = [vote for vote in new if vote.shown is None or (vote.shown in shown and shown[vote.shown].answer is None)]
    said = _predict_blind(
        champion, prediction_cache, snapshot, [vote for vote in blind if champion and vote.at_s > champion.created_s]
    )
    reasons = source_reasons(store, snapshot)
    rows: list[OverrideRow] = []
    for vote in new:
        seen = _shown_with(vote, shown, said)
        if seen is None:
            continue
        answer, confidence, model, is_blind = seen
        changed = answer != vote.answer
        rows.append(
            OverrideRow(
                project=project,
                annotation=vote.annotation,
                task=vote.task,
                person=vote.person,
                shown=answer,
                confidence=confidence,
                model=model,
                said=vote.answer,
                changed=changed,
                blind=is_blind,
                reason=reasons.get(vote.annotation, NOT_GIVEN) if changed else "",
                segment=segment_of(snapshot, vote.task),
                tier=snapshot.policy.first_tier,
                policy=snapshot.policy.hash,
                at_s=vote.at_s,
                seen="",
            )
        )
    store.overrides.save_overrides(rows)
    return sum(row.changed for row in rows)


def override_of_review(review: ReviewRow, snapshot: ProjectSnapshot, case: CaseRow) -> OverrideRow | None:
    """The same for a reviewer's verdict on a case; None where it does not count, or the model had said nothing.

    What others had proposed is no answer of the model's. `blind` is a look that was shown nothing.
    """
    said = _model_answer(case)
    if not review.counted or review.answer is None or said is None:
        return None
    answer, confidence, model = said
    changed = review.answer != answer
    return OverrideRow(
        project=snapshot.project.id,
        annotation=review.annotation,
        task=case.task,
        person=review.person,
        shown=answer,
        confidence=confidence,
        model=model,
        said=review.answer,
        changed=changed,
        blind=is_blind(case, snapshot.policy),
        reason=review.reason if changed else "",  # wherever one is asked for, a look without it does not count
        segment=segment_of(snapshot, case.task),
        tier=review.tier,
        policy=snapshot.policy.hash,
        at_s=review.at_s,
        seen=review.seen,
    )


def _model_answer(case: CaseRow) -> tuple[Answer, float | None, str] | None:
    """What the model had said of a case before anybody looked, as (answer, confidence, version).

    Of what had been decided before it may have learned the answer; then only what was proposed is held against it.
    """
    if case.proposed_by == "model" and case.proposal is not None:
        return case.proposal, case.confidence, case.model
    told = case.opinion
    if "answer" not in told or case.round > 1 or case.rule in (SECOND_LOOK, ON_REQUEST):
        return None
    return Answer.from_key(str(told["answer"])), told.get("confidence"), str(told["model"])


def source_reasons(store: Store, snapshot: ProjectSnapshot) -> dict[int, str]:
    """The reason that each annotation of the source project gives, where its label config asks for one."""
    name = reason_control(snapshot.config)
    if not name:
        return {}
    codes = {title: code for code, title in snapshot.policy.reasons.items()}
    found: dict[int, str] = {}
    for vote in store.votes.list_votes(snapshot.project.id, control=name):
        label = _first_label(vote.answer)
        if label:
            found[vote.annotation] = codes.get(label, label)
    return found


def reason_control(config: LabelConfig) -> str:
    """The control of a source project in which people say why they changed the answer; "" where there is none."""
    names = {control.name for control in config.controls if control.kind == "choices"}
    return next((name for name in _CONTROLS if name in names), "")


def segment_of(snapshot: ProjectSnapshot, task: int) -> str:
    """The part of the work that a task belongs to: the queue that the routing gave it."""
    standing = snapshot.routes.standing.get(task)
    return standing.queue if standing else "default"


def share_without_reason(rows: Iterable[OverrideRow]) -> tuple[int, int]:
    """How many overrides name no reason, and how many there are."""
    changed = [row for row in rows if row.changed]
    return sum(row.reason == NOT_GIVEN for row in changed), len(changed)


def _predict_blind(
    champion: Bundle | None, prediction_cache: PredictionCache, snapshot: ProjectSnapshot, votes: Sequence[Vote]
) -> dict[int, tuple[Answer, float | None, str]]:
    if champion is None or not votes:
        return {}
    proba = prediction_cache.proba(champion, snapshot, sorted({vote.task for vote in votes}))
    found: dict[int, tuple[Answer, float | None, str]] = {}
    for vote in votes:
        answer, confidence = champion.predict_label(proba[vote.task])
        if answer is not None:
            found[vote.annotation] = (answer, confidence, champion.version)
    return found


def _shown_with(
    vote: Vote, shown: Mapping[int, WindowRow], said: Mapping[int, tuple[Answer, float | None, str]]
) -> tuple[Answer, float | None, str, bool] | None:
    row = shown.get(vote.shown) if vote.shown is not None else None
    if row is not None and row.answer is not None:
        return row.answer, row.confidence, row.version.rpartition("+q")[0], False
    if vote.annotation in said:
        return (*said[vote.annotation], True)
    return None


def _first_label(answer: Answer) -> str:
    value = answer.value
    return str(value[0]) if isinstance(value, tuple) and value else ""
