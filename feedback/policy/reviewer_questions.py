"""[reasons], [feedback], [rights], [second_look] and [signals] of hitl.toml: reviewers' questions, and signals."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from feedback.policy.conditions import parse_number
from feedback.policy.field_types import Duration, Section, Share, Texts

REASONS = {
    "wrong_label": "The label is wrong",
    "boundary": "Right label, wrong extent",
    "guideline_gap": "The guideline does not say",
    "policy_change": "The policy changed",
    "unusual": "Unlike what the model has seen",
    "data_error": "The task itself is broken",
}


class Question(Section):
    """One question to reviewers in addition to the answer: a fraud type, a risk, the reviewer's confidence."""

    kind: Literal["choice", "choices", "number", "rating", "text"] = "choice"
    title: str = ""  # as people read it; "": the key
    options: Texts = ()  # of a choice or of choices
    highest: Annotated[int, Field(ge=2, le=10)] = 5  # of a rating
    required: bool = False
    feature: bool = False  # the answer is an indicator that the model reads with other tasks of the same entity
    entity: str = ""  # of an indicator: the task field that names the entity, such as "customer_id"

    @model_validator(mode="after")
    def _options_only_for_choices(self) -> Question:
        chooses = self.kind in ("choice", "choices")
        if chooses and len(set(self.options)) < 2:
            raise ValueError(f'kind = "{self.kind}" needs two or more options')
        if len(set(self.options)) < len(self.options) or not all(option.strip() for option in self.options):
            raise ValueError("an option is empty or exists twice")
        if not chooses and self.options:
            raise ValueError(f'options need kind = "choice" or "choices", not "{self.kind}"')
        return self

    @model_validator(mode="after")
    def _features_have_an_entity(self) -> Question:
        if self.feature and self.kind == "text":
            raise ValueError("a text cannot be a feature; wanted a choice, choices, a number or a rating")
        if self.feature and not self.entity:
            raise ValueError(
                'a feature needs an entity: the task field whose value it describes, such as "customer_id". One of '
                "the task itself would come with the answer, too late for the model"
            )
        if self.entity and not self.feature:
            raise ValueError("an entity is for a feature; add feature = true, or remove it")
        return self


class Rights(Section):
    """What a person may ask about an automated decision (GDPR Article 22)."""

    # "never" only for decisions that affect no person
    human_review: Literal["on request", "always", "never"] = "on request"
    tier: str = ""  # the tier that reviews; "": the second, or the first where there is only one
    within: Duration = ""  # the promised time; "": the clock of the tier


class SecondLook(Section):
    """Quality checks of human decisions: a random share that is decided again, and tasks with a known answer."""

    share: Share = 0.02  # of human decisions, drawn at random
    honeypots: Share = 0.0  # of the review tasks, with gold answers


Bound = Annotated[float, Field(allow_inf_nan=False)]


class SignalKind(Section):
    """A signal that other systems may send about a task: `POST /signal`, `hitl signal`."""

    kind: Literal["flag", "number", "choice", "text"] = "flag"
    options: Texts = ()  # of a choice
    low: Bound | None = None
    high: Bound | None = None
    outcome: bool = False  # a late outcome, which shows whether a decision was right

    @model_validator(mode="after")
    def _options_only_for_choices(self) -> SignalKind:
        if (self.kind == "choice") != bool(self.options):
            raise ValueError('kind = "choice" needs options, and only a choice has them')
        return self

    @model_validator(mode="after")
    def _bounds_of_a_number(self) -> SignalKind:
        bounds = [bound for bound in (self.low, self.high) if bound is not None]
        if bounds and self.kind != "number":
            raise ValueError('low and high need kind = "number"')
        if bounds != sorted(bounds):
            raise ValueError(f"low = {self.low:g} is above high = {self.high:g}")
        return self

    def problem(self, value: object) -> str:
        """Return why a value is not valid for this signal; "" where it is.

        >>> SignalKind(kind="number", low=1.0, high=5.0).problem(7)
        'is 7; wanted a number from 1.0 to 5.0'
        """
        if self.kind == "text" and value is not None:  # a text is not repeated in the message
            fits = isinstance(value, str) and 0 < len(value) <= _MAX_LENGTH
            return "" if fits else f"is no text of 1 to {_MAX_LENGTH} characters"
        fits, wanted = self._fits(value)
        actual = "is missing" if value is None else f"is {value!r:.80}"
        return "" if fits else f"{actual}; wanted {wanted}"

    def _fits(self, value: object) -> tuple[bool, str]:
        """Return whether a value is valid, and which values are."""
        if self.kind == "flag":
            return isinstance(value, bool), "true or false"
        if self.kind == "choice":
            return value in self.options, f"one of {', '.join(self.options)}"
        if self.kind == "text":
            return False, "a text"
        low = -_MAX_NUMBER if self.low is None else self.low
        high = _MAX_NUMBER if self.high is None else self.high
        bounds = "" if self.low is self.high is None else f" from {low} to {high}"
        parsed = None if isinstance(value, str) else parse_number(value)
        return parsed is not None and low <= parsed <= high, f"a number{bounds}"


_MAX_LENGTH = 500
_MAX_NUMBER = 2.0**63  # the largest whole number that JSON and databases store
HUMAN_REVIEW = "human_review"  # requests a human review

# Built-in signals; a policy may declare the same names differently.
SIGNALS: dict[str, SignalKind] = {
    "user_report": SignalKind(kind="text"),
    "sentiment": SignalKind(kind="number", low=-1.0, high=1.0),
    "policy_update": SignalKind(kind="text"),
    "thumbs": SignalKind(kind="choice", options=("up", "down"), outcome=True),
    "csat": SignalKind(kind="number", low=1.0, high=5.0, outcome=True),
    "chargeback": SignalKind(outcome=True),
    HUMAN_REVIEW: SignalKind(),
}
