"""Tiers: what a review project asks, shows and pre-fills, derived from the source project and the policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET  # the source's config is read by `read_label_config` first

from feedback.policy import Policy
from feedback.policy.reviewer_questions import Question
from feedback.review.cases import is_blind
from feedback.review.errors import TierError
from feedback.store import CaseRow
from ml_backend.codecs import codec, decode_result
from ml_backend.label_config import Control, LabelConfig
from ml_backend.records import Annotation, Answer

PREFIX = "hitl_"
KEY, FACTS, HISTORY = f"{PREFIX}key", f"{PREFIX}case", f"{PREFIX}history"
VERDICT, REASON, COMMENT = f"{PREFIX}verdict", f"{PREFIX}reason", f"{PREFIX}comment"
ANSWER = "answer"  # the verdict of somebody who was shown nothing to accept or fix
SKIP = "skip"  # Label Studio's own button

_ASKED = f"{PREFIX}ask_"  # before the key of a structured question
_NEEDS_NO_REASON = ("accept", ANSWER)


@dataclass(frozen=True, slots=True)
class Said:
    """What one annotation in a review project says, read but not yet judged."""

    verdict: str  # "" where none was given
    answer: Answer | None
    reason: str
    comment: str
    feedback: Mapping[str, Any] = field(hash=False)


def review_config(source: LabelConfig, tier: str, policy: Policy) -> str:
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


def verdicts(tier: str, policy: Policy) -> tuple[str, ...]:
    """What a reviewer of a tier may say, in the order of the buttons."""
    blind = policy.tiers[tier].blind
    allowed = [one for one in policy.tiers[tier].actions if one != "escalate" or policy.tier_after(tier)]
    named = [ANSWER if blind and one in ("accept", "fix") else one for one in allowed]
    again = policy.second_look.share > 0 or policy.second_look.honeypots > 0
    if not blind and again and {"accept", "fix"} & set(named):
        named.append(ANSWER)  # a second look shows nothing, in whichever tier it is, and neither does a honeypot
    return tuple(dict.fromkeys(named))


def key_of(case: CaseRow) -> str:
    """The name of one copy of a case in a review project; whoever copies it again makes the same."""
    return f"{stay_of(case)}{case.copies}"


def stay_of(case: CaseRow) -> str:
    """What the names of all copies of one round of a case at its tier begin with."""
    return f"case-{case.id}-{case.round}-{case.tier}-"


def task_data(
    case: CaseRow, source: Mapping[str, Any], facts: Mapping[str, str], history: Sequence[tuple[str, str]]
) -> dict[str, Any]:
    """The data of a copy: the source's own, our key, why it is here, and what was said before."""
    said = [{"who": who, "said": what} for who, what in history] or [{"who": "–", "said": "nothing was said before"}]
    own = {name: value for name, value in source.items() if not name.startswith(PREFIX)}
    return {**own, KEY: key_of(case), FACTS: dict(facts), HISTORY: said}


def proposal(case: CaseRow, control: Control, policy: Policy) -> list[dict[str, Any]]:
    """The regions that the reviewer finds filled in; none on a blind case."""
    if case.proposal is None or is_blind(case, policy):
        return []
    return codec(case.proposal.kind).encode(case.proposal, control, case.confidence)


def read_said(annotation: Annotation, control: Control, policy: Policy) -> Said:
    """Read a reviewer's annotation; what cannot be read is missing, and judged as such."""
    if annotation.was_cancelled:
        return Said(SKIP, None, "", _text(annotation, COMMENT), {})
    own = [one for one in annotation.result if isinstance(one, Mapping)]
    answers = decode_result([one for one in own if one.get("from_name") == control.name]).answers
    feedback = {name: value for name in policy.feedback if (value := answer_to(name, own)) is not None}
    return Said(
        verdict=_first(_value(own, VERDICT)),
        answer=answers.get(control.name),
        reason=_first(_value(own, REASON)),
        comment=_text(annotation, COMMENT),
        feedback=feedback,
    )


def answer_to(question: str, regions: Sequence[Mapping[str, Any]]) -> Any:
    """What an annotation answers to a structured question: in our control, or in the source's own of that name.

    A text, a number, or a list of texts; None where it says nothing.
    """
    ours = _value(regions, f"{_ASKED}{question}")
    return _value(regions, question) if ours is None else ours


def refusal(said: Said, shown: Answer | None, tier: str, policy: Policy) -> str:
    """Why a verdict cannot count as it stands; "" where it can. A verdict must agree with the answer beside it.

    >>> ham = Answer("choices", ("ham",))
    >>> refusal(Said("accept", ham, "", "", {}), Answer("choices", ("spam",)), "L1", Policy())
    'accepts, but gives another answer than the one that was shown'
    """
    allowed = verdicts(tier, policy)
    if said.verdict == "":
        return f"gives no verdict; wanted one of {', '.join(allowed)}"
    if said.verdict not in allowed:
        return f"says {said.verdict!r}, which {tier} may not; it may: {', '.join(allowed)}"
    if problem := _contradiction(said, shown):
        return problem
    if said.verdict not in _NEEDS_NO_REASON and said.reason not in policy.reasons:
        known = ", ".join(policy.reasons)
        return (
            f"gives {'no reason' if not said.reason else f'an unknown reason {said.reason!r}'}; wanted one of {known}"
        )
    if missing := [name for name, asked in policy.feedback.items() if asked.required and name not in said.feedback]:
        return f"leaves {', '.join(missing)} unanswered"
    return ""


def _contradiction(said: Said, shown: Answer | None) -> str:
    changed = said.answer is not None and said.answer != shown
    if said.verdict == "accept":
        if shown is None:
            return "accepts, but nothing was shown"
        return "accepts, but gives another answer than the one that was shown" if changed else ""
    if said.verdict == "fix" and not changed:
        return "fixes, but leaves the answer as it was shown" if said.answer else "fixes, but gives no answer"
    if said.verdict == ANSWER and said.answer is None:
        return "gives no answer"
    if said.verdict == "reject" and changed:
        return "rejects, but gives another answer: that is a fix"
    return ""


def _controls(tier: str, policy: Policy, theirs: Set[str]) -> list[ET.Element]:
    """Verdict, reason, comment and the policy's own questions but those that the source project asks itself."""
    asked = [_header("Verdict"), _choices(VERDICT, [(one, one) for one in verdicts(tier, policy)], required=True)]
    reasons = _choices(REASON, [(title or code, code) for code, title in policy.reasons.items()], required=True)
    wanting = [one for one in verdicts(tier, policy) if one not in _NEEDS_NO_REASON]
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
        asked += [_header(question.title or name), _question(f"{_ASKED}{name}", question)]
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


def _value(regions: Sequence[Mapping[str, Any]], name: str) -> Any:
    """What a control of ours holds: a text, a number, or a list of texts; None where it holds nothing."""
    for region in regions:
        value = region.get("value")
        if region.get("from_name") == name and isinstance(value, Mapping):
            found = next((value[kind] for kind in ("choices", "text", "number", "rating") if kind in value), None)
            if found in (None, [], ""):
                continue
            return found
    return None


def _first(value: Any) -> str:
    one = value[0] if isinstance(value, list) and value else value
    return one if isinstance(one, str) else ""


def _text(annotation: Annotation, name: str) -> str:
    value = _value([one for one in annotation.result if isinstance(one, Mapping)], name)
    lines = value if isinstance(value, list) else [value]
    return "\n".join(one for one in lines if isinstance(one, str)).strip()
