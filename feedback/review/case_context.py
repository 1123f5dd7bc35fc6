"""Context: what a reviewer is told about a case: why it is here, what the model said, and what others said before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from feedback.project.snapshot import ProjectSnapshot
from feedback.review.cases import is_blind
from feedback.store import CaseEvent, CaseRow, ReviewRow, Vote
from feedback.training.explanations import spoken
from ml_backend.records import Answer


def facts(case: CaseRow, snapshot: ProjectSnapshot, *, settles: bool = False) -> dict[str, str]:
    """Why a case is here and what is known of it, as a small table; a blind case gives nothing away.

    `settles` is for whoever is to settle what two readers differ on.
    """
    tier = snapshot.policy.tiers[case.tier]
    shown: dict[str, str] = {"Case": f"{case.id}, round {case.round}", "Tier": tier.title or case.tier}
    if is_blind(case, snapshot.policy):
        shown["Please"] = "settle what two readers differ on" if settles else "answer as if nobody had answered before"
    else:
        shown["Why here"] = case.why
        if case.proposal is not None:
            shown["Proposed"] = f"{words(case.proposal)} (by {case.proposed_by})"
        if case.confidence is not None and case.proposed_by == "model":
            shown["The model's confidence"] = f"{case.confidence:.0%}"
        if case.opinion:
            shown |= _opinion(case)
    if case.due_s is not None:
        shown["Wanted by"] = clock_time(case.due_s, _zone(case, snapshot))
    if case.skills:
        shown["Needs"] = ", ".join(case.skills)
    return shown


def _opinion(case: CaseRow) -> dict[str, str]:
    """What the model said, where that is not what is proposed, and what spoke for it."""
    said = case.opinion
    answer = Answer.from_key(str(said["answer"]))
    other = case.proposed_by != "model" or answer != case.proposal
    sure = f", {said['confidence']:.0%} sure" if said.get("confidence") is not None else ""
    told = {"The model said": f"{words(answer)}{sure}"} if other else {}
    return {**told, "What spoke for the model's answer": spoken(said)}


def history(
    case: CaseRow,
    snapshot: ProjectSnapshot,
    votes: Sequence[Vote],
    looks: Sequence[ReviewRow],
    steps: Sequence[CaseEvent],
    *,
    settles: bool = False,
) -> list[tuple[str, str]]:
    """What was said before, as (who, what), oldest first; people are numbered, not named; nothing on a blind case.

    Guidelines that somebody gave are told to everybody. Whoever `settles` what two readers differ on is told what both
    said, on a blind case that alone.
    """
    zone = _zone(case, snapshot)
    told = [
        (step.at_s, f"guideline, {clock_time(step.at_s, zone)}", step.note)
        for step in steps
        if step.event == "answered" and step.note
    ]
    blind = is_blind(case, snapshot.policy)
    if blind:
        votes, looks = (
            (),
            [look for look in looks if settles and look.counted and (look.round, look.entered_s) == here(case)],
        )
    if looks or votes:
        people = list(dict.fromkeys([*(vote.person for vote in votes), *(look.person for look in looks)]))
        number = {person: place for place, person in enumerate(people, start=1)}
        first = snapshot.policy.first_tier
        for vote in votes:
            who = f"{first}, person {number[vote.person]}, {clock_time(vote.at_s, zone)}"
            told.append((vote.at_s, who, words(vote.answer)))
        for look in looks:
            who = f"{look.tier}, person {number[look.person]}, {clock_time(look.at_s, zone)}"
            told.append((look.at_s, who, _said(look, snapshot)))
    return [(who, what) for _at_s, who, what in sorted(told)]


def here(case: CaseRow) -> tuple[int, float]:
    """Which stay of a case at a tier this is, as each look at it says."""
    return case.round, case.entered_s


def words(answer: Answer | None) -> str:
    """An answer as people read it.

    >>> words(Answer("choices", ("spam", "phishing"))), words(None)
    ('spam, phishing', 'no answer')
    """
    if answer is None:
        return "no answer"
    if answer.kind == "choices" and isinstance(answer.value, tuple):
        return ", ".join(map(str, answer.value))
    return str(answer.value) if isinstance(answer.value, (str, int, float)) else answer.key


def clock_time(moment_s: float, zone: str = "UTC") -> str:
    """A moment in a time zone.

    >>> clock_time(0.0)
    '1970-01-01 00:00 UTC'
    """
    at = datetime.fromtimestamp(moment_s, UTC if zone == "UTC" else ZoneInfo(zone))
    return at.strftime("%Y-%m-%d %H:%M %Z")


def _said(look: ReviewRow, snapshot: ProjectSnapshot) -> str:
    parts = [look.verdict if look.answer is None else f"{look.verdict}: {words(look.answer)}"]
    if look.reason:
        parts.append(snapshot.policy.reasons.get(look.reason, look.reason))
    for name, question in snapshot.policy.feedback.items():
        if (value := look.feedback.get(name)) is not None:
            given = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            parts.append(f"{question.title or name}: {given}")
    if look.comment:
        parts.append(look.comment)
    if look.refused:
        parts.append(f"(not counted: {look.refused})")
    return "; ".join(parts)


def _zone(case: CaseRow, snapshot: ProjectSnapshot) -> str:
    name = snapshot.policy.tiers[case.tier].calendar
    return snapshot.policy.calendars[name].timezone if name else "UTC"
