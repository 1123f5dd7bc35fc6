"""What a review task shows: the review project's label config, the case's summary and history, the filled-in answer."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET  # `read_label_config` has parsed and bounded the source's config
from zoneinfo import ZoneInfo

from feedback.errors import FeedbackError
from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_state_machine import is_blind
from feedback.store import CaseEvent, CaseRow, ReviewRow, Vote
from feedback.training.prediction_explanation import format_explanation
from ml_backend.codecs import get_codec
from ml_backend.label_config import Control, LabelConfig
from ml_backend.records import Answer

PREFIX = "hitl_"
KEY, FACTS, HISTORY = f"{PREFIX}key", f"{PREFIX}case", f"{PREFIX}history"  # in the data of a review task
VERDICT, REASON, COMMENT = f"{PREFIX}verdict", f"{PREFIX}reason", f"{PREFIX}comment"  # controls
ASKED_PREFIX = f"{PREFIX}ask_"  # of the control of each question of the policy
SOURCE = "from"  # in a line of the history: which version of an annotation it comes from
ANSWER = "answer"  # the verdict on a blind case, which shows nothing to accept or fix
SKIP = "skip"  # Label Studio's own button
NEEDS_NO_REASON = ("accept", ANSWER)
_ONE_TEXT = {"maxSubmissions": "1", "editable": "true"}
_KEY = re.compile(r"case-\d+-(?P<round>\d+)-(?P<tier>.+)-\d+")
_PARAGRAPHS = {"nameKey": "author", "textKey": "text", "layout": "dialogue"}


class TierError(FeedbackError):
    """The review project of a tier cannot be created or updated."""


def review_label_config(source: LabelConfig, tier: str, policy: Policy) -> str:
    """Return the label config of a tier's review project: the case, the source's own config, and the verdict below.

    Raises TierError if the source uses a name with our prefix.
    """
    taken = sorted(control.name for control in source.controls if control.name.startswith(PREFIX))
    if any(name != REASON for name in taken):
        raise TierError(f"the label config calls a control {taken[0]!r}; names with {PREFIX!r} are those of review.")
    root = ET.fromstring(source.xml)  # noqa: S314  # nosec B314  # parsed before, and bounded, by read_label_config
    for parent in list(root.iter()):
        for child in [element for element in parent if element.get("name") == REASON]:
            parent.remove(child)  # the reason for a change is asked below, with the verdict
    view = ET.Element("View")
    view.append(ET.Element("Table", name=FACTS, value=f"${FACTS}"))
    view.append(ET.Element("Paragraphs", {**_PARAGRAPHS, "name": HISTORY, "value": f"${HISTORY}"}))
    view.append(root)
    view.extend(_controls(tier, policy, {control.name for control in source.controls}))
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def allowed_verdicts(tier: str, policy: Policy) -> tuple[str, ...]:
    """Return the verdicts that may count at a tier; where nothing was shown, `answer` takes the place of `accept`."""
    blind = policy.tiers[tier].blind
    actions = [action for action in policy.tiers[tier].actions if action != "escalate" or policy.tier_after(tier)]
    names = [ANSWER if blind and action in ("accept", "fix") else action for action in actions]
    if {"accept", "fix"} & set(names):
        names.append(ANSWER)  # second looks, audit tasks, honeypots and cases without a proposal show nothing
    return tuple(dict.fromkeys(names))


def review_task_key(case: CaseRow) -> str:
    """Return the key of the case's present review task, by which a repeated import is recognised."""
    return f"{review_task_key_prefix(case)}{case.copies}"


def review_task_key_prefix(case: CaseRow) -> str:
    """Return what the keys of all review tasks of one round of a case at its tier begin with."""
    return f"case-{case.id}-{case.round}-{case.tier}-"


def read_review_task_key(key: str) -> tuple[int, str]:
    """Return the round and the tier in the key of a review task; (0, "") for a text that is no such key.

    >>> read_review_task_key("case-12-2-second-line-1"), read_review_task_key("")
    ((2, 'second-line'), (0, ''))
    """
    found = _KEY.fullmatch(key)
    return (int(found["round"]), found["tier"]) if found else (0, "")


def review_task_data(
    case: CaseRow,
    snapshot: ProjectSnapshot,
    votes: Sequence[Vote] = (),
    reviews: Sequence[ReviewRow] = (),
    events: Sequence[CaseEvent] = (),
    *,
    adjudicates: bool = False,
) -> dict[str, Any]:
    """Return the data of a review task: that of the source task, the key, the case's summary and its history.

    `adjudicates` is for the third reviewer, who decides between two.
    """
    lines = _case_history(case, snapshot, votes, reviews, events, adjudicates=adjudicates)
    lines = lines or [{"author": "–", "text": "there is no earlier answer"}]
    own = {name: value for name, value in snapshot.tasks[case.task].data.items() if not name.startswith(PREFIX)}
    summary = _describe_case(case, snapshot, adjudicates=adjudicates)
    return {**own, KEY: review_task_key(case), FACTS: summary, HISTORY: lines}


def prefilled_regions(case: CaseRow, control: Control, policy: Policy) -> list[dict[str, Any]]:
    """Return the regions that the reviewer finds filled in; none on a blind case."""
    if case.proposal is None or is_blind(case, policy):
        return []
    return get_codec(case.proposal.kind).encode(case.proposal, control, case.confidence)


def _describe_case(case: CaseRow, snapshot: ProjectSnapshot, *, adjudicates: bool) -> dict[str, str]:
    """Return the case as a table: why it was opened, the proposed answer (a blind case hides both), the due time."""
    tier = snapshot.policy.tiers[case.tier]
    shown: dict[str, str] = {"Case": f"{case.id}, round {case.round}", "Tier": tier.title or case.tier}
    if is_blind(case, snapshot.policy):
        task = "two reviewers differ; please decide" if adjudicates else "answer without the earlier answers"
        shown["Your task"] = task
    else:
        shown["Reason for review"] = case.why
        if case.proposal is not None:
            shown["Proposed answer"] = f"{format_answer(case.proposal)} (by {case.proposed_by})"
        if case.confidence is not None and case.proposed_by == "model":
            shown["The model's confidence"] = f"{case.confidence:.0%}"
        if case.prediction:
            shown |= _describe_prediction(case)
    if case.due_s is not None:
        shown["Due"] = format_time(case.due_s, _timezone(case, snapshot))
    if case.skills:
        shown["Required skills"] = ", ".join(case.skills)
    return shown


def _case_history(
    case: CaseRow,
    snapshot: ProjectSnapshot,
    votes: Sequence[Vote],
    reviews: Sequence[ReviewRow],
    events: Sequence[CaseEvent],
    *,
    adjudicates: bool,
) -> list[dict[str, str]]:
    """Return the earlier answers, oldest first: who, the text, and which annotation it comes from.

    People are numbered, not named. A blind case shows none, but guidelines are always shown. With `adjudicates` the
    reviews of this stay are shown also on a blind case: the third reviewer decides between them.
    """
    timezone = _timezone(case, snapshot)
    lines = [
        (event.at_s, {"author": f"guideline, {format_time(event.at_s, timezone)}", "text": event.note})
        for event in events
        if event.event == "answered" and event.note
    ]
    if is_blind(case, snapshot.policy):
        votes = ()
        reviews = [
            review
            for review in reviews
            if adjudicates and review.counted and (review.round, review.entered_s) == stay_key(case)
        ]
    people = dict.fromkeys([*(vote.person for vote in votes), *(review.person for review in reviews)])
    numbers = {person: number for number, person in enumerate(people, start=1)}

    def add(given: Vote | ReviewRow, project: str, tier: str, text: str) -> None:
        who = f"{tier}, person {numbers[given.person]}, {format_time(given.at_s, timezone)}"
        # the review of a forgotten person has no source any more
        source = {SOURCE: line_source(project, given.annotation, given.at_s)} if given.person is not None else {}
        lines.append((given.at_s, {"author": who, "text": text, **source}))

    for vote in votes:
        add(vote, snapshot.project.id, snapshot.policy.first_tier, format_answer(vote.answer))
    for review in reviews:
        add(review, review.review_project, review.tier, _format_review(review, snapshot.policy))
    return [line for _at_s, line in sorted(lines, key=lambda line: (line[0], line[1]["author"], line[1]["text"]))]


def line_source(project: str, annotation: int, at_s: float) -> str:
    """Return the name of the version of an annotation that a line of the history comes from; `at_s` is its time.

    By it, an erasure finds exactly the lines of a person.
    """
    return f"{project}/{annotation}/{at_s:.6f}"


def stay_key(case: CaseRow) -> tuple[int, float]:
    """Return what identifies the case's present stay at its tier: `(round, entered_s)`, as in its reviews."""
    return case.round, case.entered_s


def format_answer(answer: Answer | None) -> str:
    """Return an answer as people read it.

    >>> format_answer(Answer("choices", ("spam", "phishing"))), format_answer(None)
    ('spam, phishing', 'no answer')
    """
    if answer is None:
        return "no answer"
    if answer.kind in ("choices", "taxonomy") and isinstance(answer.value, tuple):
        return ", ".join(" > ".join(choice) if isinstance(choice, tuple) else str(choice) for choice in answer.value)
    return str(answer.value) if isinstance(answer.value, (str, int, float)) else answer.key


def format_time(epoch_s: float, timezone: str = "UTC") -> str:
    """Return a time as people read it, in a time zone.

    >>> format_time(0.0)
    '1970-01-01 00:00 UTC'
    """
    at = datetime.fromtimestamp(epoch_s, UTC if timezone == "UTC" else ZoneInfo(timezone))
    return at.strftime("%Y-%m-%d %H:%M %Z")


def _describe_prediction(case: CaseRow) -> dict[str, str]:
    """Return the reasons for the model's answer, and the answer itself where it is not what is proposed."""
    prediction = case.prediction
    answer = Answer.from_key(str(prediction["answer"]))
    shown: dict[str, str] = {}
    if case.proposed_by != "model" or answer != case.proposal:
        sure = f", {prediction['confidence']:.0%} sure" if prediction.get("confidence") is not None else ""
        shown["The model's answer"] = f"{format_answer(answer)}{sure}"
    return {**shown, "Reasons for the model's answer": format_explanation(prediction)}


def _format_review(review: ReviewRow, policy: Policy) -> str:
    parts = [review.verdict if review.answer is None else f"{review.verdict}: {format_answer(review.answer)}"]
    if review.reason:
        parts.append(policy.reasons.get(review.reason, review.reason))
    for name, question in policy.feedback.items():
        if (value := review.feedback.get(name)) is not None:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            parts.append(f"{question.title or name}: {text}")
    if review.comment:
        parts.append(review.comment)
    if review.refused:
        parts.append(f"(not counted: {review.refused})")
    return "; ".join(parts)


def _timezone(case: CaseRow, snapshot: ProjectSnapshot) -> str:
    name = snapshot.policy.tiers[case.tier].calendar
    return snapshot.policy.calendars[name].timezone if name else "UTC"


def _controls(tier: str, policy: Policy, source_names: Set[str]) -> list[ET.Element]:
    """Return the controls for verdict, reason, comment and the policy's questions that the source does not ask."""
    verdicts = allowed_verdicts(tier, policy)
    elements = [_header("Verdict"), _choices(VERDICT, [(name, name) for name in verdicts], required=True)]
    if need_reason := [name for name in verdicts if name not in NEEDS_NO_REASON]:
        reasons = _choices(REASON, [(title or code, code) for code, title in policy.reasons.items()], required=True)
        reasons.attrib |= {
            "visibleWhen": "choice-selected",
            "whenTagName": VERDICT,
            "whenChoiceValue": ",".join(need_reason),
        }
        elements += [_header("Reason"), reasons]
    for name, question in policy.feedback.items():
        if name not in source_names:
            elements += [_header(question.title or name), _question(f"{ASKED_PREFIX}{name}", question)]
    return [
        *elements,
        _control("TextArea", COMMENT, rows="3", **_ONE_TEXT, placeholder="Comment for the next reviewer"),
    ]


def _question(name: str, question: Question) -> ET.Element:
    if question.kind in ("choice", "choices"):
        options = [(option, option) for option in question.options]
        return _choices(name, options, required=question.required, multiple=question.kind == "choices")
    required = {"required": "true"} if question.required else {}
    if question.kind == "number":
        return _control("Number", name, **required)
    if question.kind == "rating":
        return _control("Rating", name, **required, maxRating=str(question.highest))
    return _control("TextArea", name, **required, rows="2", **_ONE_TEXT)


def _choices(
    name: str, options: Sequence[tuple[str, str]], *, required: bool = False, multiple: bool = False
) -> ET.Element:
    """Return a Choices control; each option is (text that people read, value that is stored)."""
    element = _control("Choices", name, choice="multiple" if multiple else "single", showInline="true")
    if required:
        element.set("required", "true")
    for title, code in options:
        option = ET.SubElement(element, "Choice", value=title)
        if title != code:
            option.set("alias", code)
    return element


def _control(kind: str, name: str, **attributes: str) -> ET.Element:
    return ET.Element(kind, {"name": name, "toName": FACTS, **attributes})


def _header(text: str) -> ET.Element:
    return ET.Element("Header", value=text, size="5")
