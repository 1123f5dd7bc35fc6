"""[tiers], [people] and [notify] of hitl.toml: who answers where and by when, and who is notified."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from feedback.policy.field_types import Duration, Money, Name, Names, Section, Share, parse_duration_s

Role = Literal["viewer", "admin", "approver"]
ADMIN_ROLES: tuple[Role, ...] = ("admin", "approver")
Protocol = Literal["single", "panel", "two-reader"]
Action = Literal["accept", "fix", "reject", "escalate", "guideline"]


class Person(Section):
    """One person; the key is their e-mail address in Label Studio.

    A person who is not listed may answer in the first tier only.
    """

    tiers: Names = ()  # where they may answer; (): the first tier
    skills: Names = ()  # what rules and tiers may ask for: languages, topics, licences
    wage: Money | None = None  # per hour; all wages are in one currency
    calendar: Name | None = None  # when they work; None: the calendar of their tier
    role: Role = "viewer"  # on our pages: view, change the policy, or also approve promotions


class Tier(Section):
    """One level of review. The first tier of the file is the Label Studio project; each later one is a review project.

    `place` is the order in the file: cases escalate from each tier to the next.
    """

    place: Annotated[int, Field(ge=0)] = 0  # filled in from the order of the file
    title: str = ""  # as people read it
    first_action: Duration = ""  # the clock until somebody starts: a draft, a submit or a skip
    resolve: Duration = ""  # the clock until the case is decided
    at_risk: Share = 0.8  # share of a clock after which a warning is sent
    calendar: Name | None = None  # the clocks run in its hours; None: always
    on_breach: Literal["escalate", "reassign", "notify"] = "notify"  # when a clock has run out
    notify: Names = ()  # entries of [notify] that receive risks and breaches
    skip_means: Literal["escalate", "requeue", "ignore"] = "requeue"  # what "Skip" means
    blind: bool = False  # whether the model's answer and earlier votes are kept from the reviewer
    protocol: Protocol = "single"  # one decides; a panel votes; two answer, and a third decides if they differ
    panel: Annotated[int, Field(ge=1, le=20)] = 1  # size of a panel
    # the panel's leading answer needs more than this share, or the case escalates
    min_agreement: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.5
    actions: Annotated[tuple[Action, ...], Field(strict=False, min_length=1)] = get_args(Action)
    skills: Names = ()  # that every person needs
    own_cases: bool = False  # whether a person who answered the case in an earlier tier may decide it
    handling: Duration = ""  # time for one answer, for forecasts and costs; "": as measured

    @property
    def first_action_s(self) -> float:
        """Return the seconds until somebody must have started; 0 for no clock."""
        return parse_duration_s(self.first_action)

    @property
    def resolve_s(self) -> float:
        """Return the seconds until the case must be decided; 0 for no clock."""
        return parse_duration_s(self.resolve)

    @property
    def handling_s(self) -> float:
        """Return the seconds that one answer takes; 0 where it is to be measured."""
        return parse_duration_s(self.handling)

    @property
    def n_reviewers(self) -> int:
        """Return how many people answer each case."""
        return {"single": 1, "panel": self.panel, "two-reader": 2}[self.protocol]

    @property
    def most_reviewers(self) -> int:
        """Return how many people answer a case at most, where the others count: a third where two readers differ."""
        return 3 if self.protocol == "two-reader" else self.n_reviewers

    @model_validator(mode="after")
    def _panel_means_several(self) -> Tier:
        if self.protocol == "panel" and self.panel < 2:
            raise ValueError('protocol = "panel" wants panel = 2 or more')
        if self.protocol != "panel" and self.panel != 1:
            raise ValueError(f'panel = {self.panel} wants protocol = "panel"')
        return self


class Notify(Section):
    """Where risks, breaches and decisions are sent: a URL that takes a JSON POST."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=2000)]
    secret: str = ""  # the name of a secret in the store that signs the body; "": not signed
