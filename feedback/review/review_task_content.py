"""What a review task shows: the review project's label config, the case's summary and history, the filled-in answer."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence, Set
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree as ET  # `read_label_config` has parsed and bounded the source's config
from zoneinfo import ZoneInfo

from feedback.errors import FeedbackError
from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.project.label_changes import dropped_labels, known_labels
from feedback.project.snapshot import ProjectSnapshot
from feedback.review.case_state_machine import is_blind
from feedback.store import CaseEvent, CaseRow, ReviewRow, Vote, urgency
from feedback.training.prediction_explanation import format_explanation
from ml_backend.codecs import cut_text, describe_answer, get_codec
from ml_backend.label_config import Control, LabelConfig
from ml_backend.number_format import format_percent
from ml_backend.records import Answer, field_value

PREFIX = "hitl_"
KEY, FACTS, HISTORY = f"{PREFIX}key", f"{PREFIX}case", f"{PREFIX}history"  # in the data of a review task
VERDICTS = f"{PREFIX}verdicts"  # in the data of a review task: the verdicts that are offered on it
VERDICT, REASON, COMMENT = f"{PREFIX}verdict", f"{PREFIX}reason", f"{PREFIX}comment"  # controls
ASKED_PREFIX = f"{PREFIX}ask_"  # of the control of each question of the policy
SOURCE = "from"  # in a line of the history: which version of an annotation it comes from
ANSWER = "answer"  # the verdict on a blind case, which shows nothing to accept or fix
SKIP = "skip"  # Label Studio's own button
NEEDS_NO_REASON = ("accept", ANSWER)
_WORD_JOINER = "\u2060"  # has no width
_MAX_SHOWN = 5_000  # characters of one line of a case: a comment or a label may have megabytes
_ONE_TEXT = {"maxSubmissions": "1", "editable": "true"}
_KEY = re.compile(r"case-\d+-(?P<round>\d+)-(?P<tier>.+)-\d+")
_COLUMNS = ("3 1 320px", "2 1 280px")  # share and least width; on a narrow screen one stands below the other
_PARAGRAPHS = {"nameKey": "author", "textKey": "text", "layout": "dialogue"}


class TierError(FeedbackError):
    """The review project of a tier cannot be created or updated."""


def review_label_config(source: LabelConfig, tier: str, policy: Policy) -> str:
    """Return the label config of a tier's review project, in the order in which a reviewer works.

    On the left the source's own config with the answer filled in, and the verdict below it; on the right the history of
    the case and its facts. The history is at the top of its column: the editor moves its first line into sight.

    Raises TierError if the source uses a name with our prefix.
    """
    taken = sorted(control.name for control in source.controls if control.name.startswith(PREFIX))
    if any(name != REASON for name in taken):
        raise TierError(f"the label config calls a control {taken[0]!r}; names with {PREFIX!r} are those of review.")
    root = ET.fromstring(source.xml)  # noqa: S314  # nosec B314  # parsed before, and bounded, by read_label_config
    for parent in list(root.iter()):
        for child in [element for element in parent if element.get("name") == REASON]:
            parent.remove(child)  # the reason for a change is asked below, with the verdict
    view = ET.Element("View", style="display:flex; flex-wrap:wrap; gap:16px; align-items:flex-start")
    answer, case = (ET.SubElement(view, "View", style=f"flex:{width}; min-width:0") for width in _COLUMNS)
    answer.append(root)
    answer.extend(_controls(tier, policy, {control.name for control in source.controls}))
    case.append(ET.Element("Paragraphs", {**_PARAGRAPHS, "name": HISTORY, "value": f"${HISTORY}"}))
    case.append(ET.Element("Table", name=FACTS, value=f"${FACTS}"))
    ET.indent(view)
    return ET.tostring(view, encoding="unicode")


def allowed_verdicts(tier: str, policy: Policy) -> tuple[str, ...]:
    """Return the verdicts that may count at a tier. An answer may count in each tier that decides."""
    actions = [action for action in policy.tiers[tier].actions if action != "escalate" or policy.tier_after(tier)]
    return (*actions, ANSWER) if {"accept", "fix"} & set(actions) else tuple(actions)


def offered_verdicts(case: CaseRow, policy: Policy) -> tuple[str, ...]:
    """Return the verdicts that are offered on the review task of a case, in the order of the buttons.

    Where nothing is shown, there is nothing to accept or to fix: `answer` takes the place of both.
    """
    allowed, nothing_shown = allowed_verdicts(case.tier, policy), _shown_proposal(case, policy) is None
    hidden = ("accept", "fix") if nothing_shown else (ANSWER,)
    return tuple(sorted((name for name in allowed if name not in hidden), key=lambda name: name != ANSWER))


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
    lines = lines or [{"author": "–", "text": "no earlier answer is shown"}]
    own = {name: value for name, value in snapshot.tasks[case.task].data.items() if not name.startswith(PREFIX)}
    summary = _describe_case(case, snapshot, adjudicates=adjudicates)
    verdicts = [{"value": verdict} for verdict in offered_verdicts(case, snapshot.policy)]
    return {**own, KEY: review_task_key(case), FACTS: summary, HISTORY: lines, VERDICTS: verdicts}


def prefilled_regions(case: CaseRow, control: Control, policy: Policy) -> list[dict[str, Any]]:
    """Return the regions that the reviewer finds filled in; none on a blind case, or with labels that were dropped."""
    shown = _shown_proposal(case, policy)
    if shown is None or dropped_labels(shown, known_labels(control)):
        return []
    return get_codec(shown.kind).encode(shown, control, case.confidence)


def _shown_proposal(case: CaseRow, policy: Policy) -> Answer | None:
    return None if is_blind(case, policy) else case.proposal


def shown_digest(case: CaseRow, policy: Policy) -> str:
    """Return a digest of what the review task of a case shows, without history and task data, and its urgency."""
    shown = _shown_proposal(case, policy)
    model = "" if is_blind(case, policy) else str(case.prediction.get("model", ""))
    parts = [shown and shown.key, model, case.why, case.due_s, urgency(case), *offered_verdicts(case, policy)]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _describe_case(case: CaseRow, snapshot: ProjectSnapshot, *, adjudicates: bool) -> dict[str, str]:
    """Return the case as a table: why it was opened, the proposed answer (a blind case hides both), the due time."""
    tier, text = snapshot.policy.tiers[case.tier], labelled_text(snapshot, case.task)
    shown: dict[str, str] = {"Case": f"{case.id}, round {case.round}", "Tier": tier.title or case.tier}
    if is_blind(case, snapshot.policy):
        task = "two reviewers differ; please decide" if adjudicates else "answer without the earlier answers"
        shown["Your task"] = task
    else:
        shown["Reason for review"] = case.why
        if case.proposal is not None:
            shown["Proposed answer"] = f"{format_answer(case.proposal, text)} (by {case.proposed_by})"
        if case.confidence is not None and case.proposed_by == "model":
            shown["The model's confidence"] = format_percent(case.confidence)
        if case.prediction:
            shown |= _describe_prediction(case, text)
    if case.due_s is not None:
        shown["Due"] = format_time(case.due_s, _timezone(case, snapshot))
    if case.skills:
        shown["Required skills"] = ", ".join(case.skills)
    return {name: cut_text(value, _MAX_SHOWN) for name, value in shown.items()}


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
    timezone, text = _timezone(case, snapshot), labelled_text(snapshot, case.task)
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

    def add(given: Vote | ReviewRow, project: str, tier: str, words: str) -> None:
        who = f"{tier}, person {numbers[given.person]}, {format_time(given.at_s, timezone)}"
        # the review of a forgotten person has no source any more
        source = {SOURCE: line_source(project, given.annotation, given.at_s)} if given.person is not None else {}
        lines.append((given.at_s, {"author": who, "text": words, **source}))

    for vote in votes:
        add(vote, snapshot.project.id, snapshot.policy.first_tier, format_answer(vote.answer, text))
    for review in reviews:
        add(review, review.review_project, review.tier, _format_review(review, snapshot.policy, text))
    ordered = sorted(lines, key=lambda line: (line[0], line[1]["author"], line[1]["text"]))
    return [{**line, "text": cut_text(line["text"], _MAX_SHOWN)} for _at_s, line in ordered]


def line_source(project: str, annotation: int, at_s: float) -> str:
    """Return the name of the version of an annotation that a line of the history comes from; `at_s` is its time.

    By it, an erasure finds exactly the lines of a person.
    """
    return f"{project}/{annotation}/{at_s:.6f}"


def stay_key(case: CaseRow) -> tuple[int, float]:
    """Return what identifies the case's present stay at its tier: `(round, entered_s)`, as in its reviews."""
    return case.round, case.entered_s


def format_answer(answer: Answer | None, text: str = "") -> str:
    """Return an answer as people read it; `text` is what the labelled object shows.

    >>> format_answer(Answer("choices", ("spam", "phishing"))), format_answer(None)
    ('spam, phishing', 'no answer')
    """
    return "no answer" if answer is None else describe_answer(answer, text)


def labelled_text(snapshot: ProjectSnapshot, task: int) -> str:
    """Return the text that an answer to a task labels; "" where it labels something else."""
    row = snapshot.tasks.get(task)
    text = field_value(row.data, snapshot.control.field) if row is not None else None
    return text if isinstance(text, str) else ""


def format_time(epoch_s: float, timezone: str = "UTC") -> str:
    """Return a time as people read it, in a time zone.

    >>> format_time(0.0)
    '1970-01-01 00:00 UTC'
    """
    at = datetime.fromtimestamp(epoch_s, UTC if timezone == "UTC" else ZoneInfo(timezone))
    return at.strftime("%Y-%m-%d %H:%M %Z")


def _describe_prediction(case: CaseRow, text: str) -> dict[str, str]:
    """Return the reasons for the model's answer, and the answer itself where it is not what is proposed."""
    prediction = case.prediction
    answer = Answer.from_key(str(prediction["answer"]))
    shown: dict[str, str] = {}
    if case.proposed_by != "model" or answer != case.proposal:
        sure = f", {format_percent(prediction['confidence'])} sure" if prediction.get("confidence") is not None else ""
        shown["The model's answer"] = f"{format_answer(answer, text)}{sure}"
    return {**shown, "Reasons for the model's answer": format_explanation(prediction)}


def _format_review(review: ReviewRow, policy: Policy, text: str) -> str:
    parts = [review.verdict if review.answer is None else f"{review.verdict}: {format_answer(review.answer, text)}"]
    if review.reason:
        parts.append(policy.reasons.get(review.reason, review.reason))
    for name, question in policy.feedback.items():
        if (value := review.feedback.get(name)) is not None:
            given = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            parts.append(f"{question.title or name}: {given}")
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
    verdict = _choices(VERDICT, [], required=True)
    # each task names the verdicts that may count on it. The editor reads attributes in any case, while Label Studio's
    # server refuses tasks without the field that a lower-case `value` names, and a control with no child and no `value`
    verdict.set("Value", f"${VERDICTS}")
    ET.SubElement(verdict, "View")
    elements = [_header("Verdict"), verdict]
    need_reason = [name for name in allowed_verdicts(tier, policy) if name not in NEEDS_NO_REASON]
    if need_reason and len(policy.reasons) > 1:  # a single reason is taken, and Label Studio refuses a list of one
        reasons = _choices(REASON, [(title or code, code) for code, title in policy.reasons.items()], required=True)
        shown = {
            "visibleWhen": "choice-selected",
            "whenTagName": VERDICT,
            "whenChoiceValue": ",".join(need_reason),
        }
        reasons.attrib |= shown  # also its own: the editor demands the answer of a control that is visible
        heading = ET.Element("View", shown)
        heading.append(_header("Reason"))
        elements += [heading, reasons]
    for name, question in policy.feedback.items():
        if name not in source_names:
            elements += question_elements(name, question, f"{ASKED_PREFIX}{name}", FACTS)
    return [
        *elements,
        _header("Comment"),
        _control("TextArea", COMMENT, rows="3", **_ONE_TEXT, placeholder="Comment for the next reviewer"),
    ]


def question_elements(name: str, question: Question, control: str, to_name: str) -> list[ET.Element]:
    """Return the title and the control of one of the policy's questions, for a label config."""
    asked = _question(control, question)
    asked.set("toName", to_name)
    return [_header(question.title or name), asked]


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
        shown = _literal(title)
        option = ET.SubElement(element, "Choice", value=shown)
        if shown != code:
            option.set("alias", code)
    return element


def _control(kind: str, name: str, **attributes: str) -> ET.Element:
    return ET.Element(kind, {"name": name, "toName": FACTS, **attributes})


def _header(text: str) -> ET.Element:
    return ET.Element("Header", value=_literal(text), size="5")


def _literal(text: str) -> str:
    """Return a text in which Label Studio finds no field of the task: it replaces `$name` by the field's value.

    >>> _literal("over $100").replace(_WORD_JOINER, "|")
    'over $|100'
    """
    return text.replace("$", f"${_WORD_JOINER}")
