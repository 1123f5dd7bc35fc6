"""Tiers: what a review project asks, shows and pre-fills, derived from the source project and the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET  # the source's config is read by `read_label_config` first
from zoneinfo import ZoneInfo

from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_workflow import is_blind
from feedback.review.errors import TierError
from feedback.store import CaseEvent, CaseRow, ReviewRow, Vote
from feedback.training.explanations import spoken
from ml_backend.codecs import codec
from ml_backend.label_config import Control, LabelConfig
from ml_backend.records import Answer

PREFIX = "hitl_"
KEY, FACTS, HISTORY = f"{PREFIX}key", f"{PREFIX}case", f"{PREFIX}history"
VERDICT, REASON, COMMENT = f"{PREFIX}verdict", f"{PREFIX}reason", f"{PREFIX}comment"
ANSWER = "answer"  # the verdict of somebody who was shown nothing to accept or fix
SKIP = "skip"  # Label Studio's own button

ASKED_PREFIX = f"{PREFIX}ask_"  # before the key of a structured question
NEEDS_NO_REASON = ("accept", ANSWER)


def review_label_config(source: LabelConfig, tier: str, policy: Policy) -> str:
    """The label config of a tier's review project: the source's own, context above it, the verdict below.

    Raises TierError where the source uses names that are ours.
    """
    taken = sorted(name for name in (control.name for control in source.controls) if name.startswith(PREFIX))
    if any(name != REASON for name in taken):
        raise TierError(f"the label config calls a control {taken[0]!r}; names with {PREFIX!r} are those of review.")
    root = ET.fromstring(source.xml)  # noqa: S314  # nosec B314  # parsed before, and bounded, by read_label_config
    for parent in list(root.iter()):
        for child in [one for one in parent if one.get("name") == REASON]:
            parent.remove(child)  # the reason for a change is asked below, with the verdict
    view = ET.Element("View")
    view.append(ET.Element("Table", name=FACTS, value=f"${FACTS}"))
    view.append(ET.Element("Paragraphs", {**_HISTORY, "name": HISTORY, "value": f"${HISTORY}"}))
    view.append(root)
    view.extend(_controls(tier, policy, {control.name for control in source.controls}))
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


_HISTORY = {"nameKey": "who", "textKey": "said", "layout": "dialogue"}


def allowed_verdicts(tier: str, policy: Policy) -> tuple[str, ...]:
    """What a reviewer of a tier may say, in the order of the buttons."""
    blind = policy.tiers[tier].blind
    allowed = [one for one in policy.tiers[tier].actions if one != "escalate" or policy.tier_after(tier)]
    names = [ANSWER if blind and one in ("accept", "fix") else one for one in allowed]
    again = policy.second_look.share > 0 or policy.second_look.honeypots > 0
    if not blind and again and {"accept", "fix"} & set(names):
        names.append(ANSWER)  # a second look shows nothing, in whichever tier it is, and neither does a honeypot
    return tuple(dict.fromkeys(names))


def review_task_key(case: CaseRow) -> str:
    """The name of one copy of a case in a review project; whoever copies it again makes the same."""
    return f"{review_task_key_prefix(case)}{case.copies}"


def review_task_key_prefix(case: CaseRow) -> str:
    """What the names of all copies of one round of a case at its tier begin with."""
    return f"case-{case.id}-{case.round}-{case.tier}-"


def review_task_data(
    case: CaseRow, source: Mapping[str, Any], facts: Mapping[str, str], history: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The data of a copy: the source's own, our key, why it is here, and what was said before."""
    said = [{"who": who, "said": what} for who, what in history] or [{"who": "–", "said": "nothing was said before"}]
    own = {name: value for name, value in source.items() if not name.startswith(PREFIX)}
    return {**own, KEY: review_task_key(case), FACTS: dict(facts), HISTORY: said}


def prefilled_regions(case: CaseRow, control: Control, policy: Policy) -> list[dict[str, Any]]:
    """The regions that the reviewer finds filled in; none on a blind case."""
    if case.proposal is None or is_blind(case, policy):
        return []
    return codec(case.proposal.kind).encode(case.proposal, control, case.confidence)


def _controls(tier: str, policy: Policy, theirs: Set[str]) -> list[ET.Element]:
    """Verdict, reason, comment and the policy's own questions but those that the source project asks itself."""
    asked = [
        _header("Verdict"),
        _choices(VERDICT, [(one, one) for one in allowed_verdicts(tier, policy)], required=True),
    ]
    reasons = _choices(REASON, [(title or code, code) for code, title in policy.reasons.items()], required=True)
    wanting = [one for one in allowed_verdicts(tier, policy) if one not in NEEDS_NO_REASON]
    if wanting:
        reasons.attrib |= {
            "visibleWhen": "choice-selected",
            "whenTagName": VERDICT,
            "whenChoiceValue": ",".join(wanting),
        }
        asked += [_header("Reason"), reasons]
    for name, question in policy.feedback.items():
        if name in theirs:
            continue
        asked += [_header(question.title or name), _question(f"{ASKED_PREFIX}{name}", question)]
    attributes = {"rows": "3", "maxSubmissions": "1", "editable": "true", "placeholder": "Comment, for whoever is next"}
    return [*asked, ET.Element("TextArea", {"name": COMMENT, "toName": FACTS, **attributes})]


def _question(name: str, question: Question) -> ET.Element:
    if question.kind in ("choice", "choices"):
        many = question.kind == "choices"
        return _choices(name, [(one, one) for one in question.options], required=question.required, many=many)
    required = {"required": "true"} if question.required else {}
    at = {"name": name, "toName": FACTS, **required}
    if question.kind == "number":
        return ET.Element("Number", at)
    if question.kind == "rating":
        return ET.Element("Rating", {**at, "maxRating": str(question.highest)})
    return ET.Element("TextArea", {**at, "rows": "2", "maxSubmissions": "1", "editable": "true"})


def _choices(
    name: str, options: Sequence[tuple[str, str]], *, required: bool = False, many: bool = False
) -> ET.Element:
    """Options as (what people read, what is stored)."""
    made = ET.Element("Choices", name=name, toName=FACTS, choice="multiple" if many else "single", showInline="true")
    if required:
        made.set("required", "true")
    for title, code in options:
        option = ET.SubElement(made, "Choice", value=title)
        if title != code:
            option.set("alias", code)
    return made


def _header(text: str) -> ET.Element:
    return ET.Element("Header", value=text, size="5")


def describe_case(case: CaseRow, snapshot: ProjectSnapshot, *, settles: bool = False) -> dict[str, str]:
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
            shown["Proposed"] = f"{format_answer(case.proposal)} (by {case.proposed_by})"
        if case.confidence is not None and case.proposed_by == "model":
            shown["The model's confidence"] = f"{case.confidence:.0%}"
        if case.opinion:
            shown |= _describe_prediction(case)
    if case.due_s is not None:
        shown["Wanted by"] = format_time(case.due_s, _zone(case, snapshot))
    if case.skills:
        shown["Needs"] = ", ".join(case.skills)
    return shown


def _describe_prediction(case: CaseRow) -> dict[str, str]:
    """What the model said, where that is not what is proposed, and what spoke for it."""
    said = case.opinion
    answer = Answer.from_key(str(said["answer"]))
    other = case.proposed_by != "model" or answer != case.proposal
    sure = f", {said['confidence']:.0%} sure" if said.get("confidence") is not None else ""
    told = {"The model said": f"{format_answer(answer)}{sure}"} if other else {}
    return {**told, "What spoke for the model's answer": spoken(said)}


def case_history(
    case: CaseRow,
    snapshot: ProjectSnapshot,
    votes: Sequence[Vote],
    reviews: Sequence[ReviewRow],
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
        (step.at_s, f"guideline, {format_time(step.at_s, zone)}", step.note)
        for step in steps
        if step.event == "answered" and step.note
    ]
    blind = is_blind(case, snapshot.policy)
    if blind:
        votes, reviews = (
            (),
            [
                review
                for review in reviews
                if settles and review.counted and (review.round, review.entered_s) == stay_key(case)
            ],
        )
    if reviews or votes:
        people = list(dict.fromkeys([*(vote.person for vote in votes), *(review.person for review in reviews)]))
        number = {person: place for place, person in enumerate(people, start=1)}
        first = snapshot.policy.first_tier
        for vote in votes:
            who = f"{first}, person {number[vote.person]}, {format_time(vote.at_s, zone)}"
            told.append((vote.at_s, who, format_answer(vote.answer)))
        for review in reviews:
            who = f"{review.tier}, person {number[review.person]}, {format_time(review.at_s, zone)}"
            told.append((review.at_s, who, _format_review(review, snapshot)))
    return [(who, what) for _at_s, who, what in sorted(told)]


def stay_key(case: CaseRow) -> tuple[int, float]:
    """Which stay of a case at a tier this is, as each look at it says."""
    return case.round, case.entered_s


def format_answer(answer: Answer | None) -> str:
    """An answer as people read it.

    >>> format_answer(Answer("choices", ("spam", "phishing"))), format_answer(None)
    ('spam, phishing', 'no answer')
    """
    if answer is None:
        return "no answer"
    if answer.kind == "choices" and isinstance(answer.value, tuple):
        return ", ".join(map(str, answer.value))
    return str(answer.value) if isinstance(answer.value, (str, int, float)) else answer.key


def format_time(moment_s: float, zone: str = "UTC") -> str:
    """A moment in a time zone.

    >>> format_time(0.0)
    '1970-01-01 00:00 UTC'
    """
    at = datetime.fromtimestamp(moment_s, UTC if zone == "UTC" else ZoneInfo(zone))
    return at.strftime("%Y-%m-%d %H:%M %Z")


def _format_review(review: ReviewRow, snapshot: ProjectSnapshot) -> str:
    parts = [review.verdict if review.answer is None else f"{review.verdict}: {format_answer(review.answer)}"]
    if review.reason:
        parts.append(snapshot.policy.reasons.get(review.reason, review.reason))
    for name, question in snapshot.policy.feedback.items():
        if (value := review.feedback.get(name)) is not None:
            given = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            parts.append(f"{question.title or name}: {given}")
    if review.comment:
        parts.append(review.comment)
    if review.refused:
        parts.append(f"(not counted: {review.refused})")
    return "; ".join(parts)


def _zone(case: CaseRow, snapshot: ProjectSnapshot) -> str:
    name = snapshot.policy.tiers[case.tier].calendar
    return snapshot.policy.calendars[name].timezone if name else "UTC"
