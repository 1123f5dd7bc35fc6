"""What reviewers say beside the answer: reason codes, structured feedback, and what others may signal about a task."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from feedback.policy.conditions import parse_number
from feedback.policy.sections import Duration, Section, Share, Texts

REASONS = {
    "wrong_label": "The label is wrong",
    "boundary": "Right label, wrong extent",
    "guideline_gap": "The guideline does not say",
    "policy_change": "The policy changed",
    "unusual": "Unlike what the model has seen",
    "data_error": "The task itself is broken",
}


class Question(Section):
    """One field of structured feedback in review projects: a fraud type, an indicator, the reviewer's confidence."""

    kind: Literal["choice", "choices", "number", "rating", "text"] = "choice"
    title: str = ""  # the question as people read it; "": the key
    options: Texts = ()  # of a choice or of choices
    highest: Annotated[int, Field(ge=2, le=10)] = 5  # of a rating
    required: bool = False
    feature: bool = False  # whether the model reads it beside other tasks of the same entity, once it is recorded
    entity: str = ""  # of a feature: the task field whose value it belongs to, such as "customer_id"

    @model_validator(mode="after")
    def _options_where_there_is_a_choice(self) -> Question:
        chooses = self.kind in ("choice", "choices")
        if chooses and len(set(self.options)) < 2:
            raise ValueError(f'kind = "{self.kind}" wants two or more options')
        if len(set(self.options)) < len(self.options) or not all(one.strip() for one in self.options):
            raise ValueError("an option is there twice, or is empty; nobody could tell what was chosen")
        if not chooses and self.options:
            raise ValueError(f'options want kind = "choice" or "choices", not "{self.kind}"')
        return self

    @model_validator(mode="after")
    def _features_belong_to_somebody(self) -> Question:
        if self.feature and self.kind == "text":
            raise ValueError("a free text is no feature; wanted a choice, choices, a number or a rating")
        if self.feature and not self.entity:
            raise ValueError(
                'a feature wants its entity, the task field whose value it belongs to, such as "customer_id": what is '
                "said of a task itself comes with its answer, too late for the model"
            )
        if self.entity and not self.feature:
            raise ValueError("an entity is for a feature; add feature = true, or leave it out")
        return self


class Rights(Section):
    """What a person may ask about an automated decision (GDPR Article 22)."""

    human_review: Literal["on request", "always", "never"] = "on request"  # never is for decisions about no person
    tier: str = ""  # who looks then; "": the tier after the first, or the first where there is one only
    within: Duration = ""  # the promise; "": the tier's own clock


class SecondLook(Section):
    """Looking again at what people decided: a random share, and tasks whose answer is known."""

    share: Share = 0.02  # of human decisions, drawn by key
    honeypots: Share = 0.0  # of the places in review projects, with gold answers


class SignalKind(Section):
    """A signal that others may push about a task: `POST /signal`, `hitl signal`."""

    kind: Literal["flag", "number", "choice", "text"] = "flag"
    options: Texts = ()  # of a choice
    low: float | None = None
    high: float | None = None
    outcome: bool = False  # a late outcome, which says whether a decision was right

    @model_validator(mode="after")
    def _options_where_there_is_a_choice(self) -> SignalKind:
        if (self.kind == "choice") != bool(self.options):
            raise ValueError('kind = "choice" wants options, and only a choice has them')
        return self

    @model_validator(mode="after")
    def _bounds_of_a_number(self) -> SignalKind:
        bounds = [one for one in (self.low, self.high) if one is not None]
        if bounds and self.kind != "number":
            raise ValueError('low and high want kind = "number"')
        if bounds != sorted(bounds):
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}, so that no value fits")
        return self

    def problem(self, value: object) -> str:
        """Say why a value cannot be this signal's; "" where it can.

        >>> SignalKind(kind="number", low=1.0, high=5.0).problem(7)
        'is 7; wanted a number from 1.0 to 5.0'
        """
        if self.kind == "text" and value is not None:  # which is not repeated
            fits = isinstance(value, str) and 0 < len(value) <= _LONGEST
            return "" if fits else f"is no text of 1 to {_LONGEST} characters"
        fits, wanted = self._fits(value)
        said = "is missing" if value is None else f"is {value!r:.80}"
        return "" if fits else f"{said}; wanted {wanted}"

    def _fits(self, value: object) -> tuple[bool, str]:
        """Whether a value can be this signal's, and what can."""
        if self.kind == "flag":
            return isinstance(value, bool), "true or false"
        if self.kind == "choice":
            return value in self.options, f"one of {', '.join(self.options)}"
        if self.kind == "text":
            return False, "a text"
        low, high = self.low if self.low is not None else -_BIGGEST, self.high if self.high is not None else _BIGGEST
        bounds = "" if self.low is self.high is None else f" from {low} to {high}"
        read = None if isinstance(value, str) else parse_number(value)
        return read is not None and low <= read <= high, f"a number{bounds}"


_LONGEST = 500
_BIGGEST = 2.0**63  # what JSON and databases keep of a whole number
HUMAN_REVIEW = "human_review"  # by which somebody asks for a person

# What everybody may push without declaring it; a policy may declare these names anew.
SIGNALS: dict[str, SignalKind] = {
    "user_report": SignalKind(kind="text"),
    "sentiment": SignalKind(kind="number", low=-1.0, high=1.0),
    "policy_update": SignalKind(kind="text"),
    "thumbs": SignalKind(kind="choice", options=("up", "down"), outcome=True),
    "csat": SignalKind(kind="number", low=1.0, high=5.0, outcome=True),
    "chargeback": SignalKind(outcome=True),
    HUMAN_REVIEW: SignalKind(),
}
