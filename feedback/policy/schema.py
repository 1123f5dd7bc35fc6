"""hitl.toml, checked: every key known, every number in range, every name leading somewhere."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from feedback.policy.calendars import Calendar
from feedback.policy.conditions import Condition
from feedback.policy.crowd import Consensus, Gold, LabellingFunction
from feedback.policy.crowd import Overlap as Overlap
from feedback.policy.reviewer_questions import HUMAN_REVIEW, REASONS, SIGNALS, Question, Rights, SecondLook, SignalKind
from feedback.policy.rules import AUTO, HOLD, Rule
from feedback.policy.sections import Money, Name, Section, Share
from feedback.policy.tiers import Notify, Person, Tier


class Model(Section):
    """Which model learns; without anything, the default for the project's label config."""

    hosted: str = ""  # "file.py:Class", a label-studio-ml 1.0.9 model
    control: str = ""  # which control; "": the first that we can predict


class Sampling(Section):
    """Which task is asked next."""

    strategy: str = "margin"
    random_share: Share = 0.1  # of the places in the queue that the strategy fills

    @property
    def looks_at_distances(self) -> bool:
        """Whether the strategy needs vectors beside probabilities."""
        return self.strategy in ("ranked", "mkm", "typical")


class Queue(Section):
    """The window that is written to Label Studio."""

    window: Annotated[int, Field(ge=1, le=100_000)] = 500
    head: Annotated[int, Field(ge=1, le=250)] = 25  # written singly, so that they are served at once
    low_water: Share = 0.4  # below this share of open rows the window is written anew


class Audit(Section):
    """The random stream that proves things; its rows are never learned from."""

    share: Annotated[float, Field(ge=0.0, le=0.5)] | None = None  # None: chosen at connect from the number of tasks
    quota: Share = 0.2  # of the queue, once `start` rows exist
    start: Annotated[int, Field(ge=0)] = 100  # until so many are answered, half of the queue feeds the audit


class Train(Section):
    """When a challenger is trained."""

    min_rows: Annotated[int, Field(ge=2)] = 20
    min_new: Annotated[int, Field(ge=1)] = 20  # new answers since the last training
    growth: Annotated[float, Field(ge=0.0)] = 0.15  # ... or this share of what it was trained on, if more
    overrides: Annotated[int, Field(ge=1)] = 10  # fewer are enough where so many changed what the model had shown
    seed: Annotated[int, Field(ge=0)] = 0


class Promote(Section):
    """When a challenger becomes the champion (docs/statistics.md)."""

    max_loss: Share = 0.02  # a refresh is refused when it is proven worse than this
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05


class Tasks(Section):
    """What others call the tasks."""

    key: str = ""  # the task field by which signals may name a task, such as "order_id"; "": by its number alone


class Costs(Section):
    """What things cost beside wages, in the currency of the wages."""

    error: Money | None = None  # a wrong answer that nobody looked at; None: not known


class Policy(Section):
    """One project's policy. `hash` stands in each decision that it led to."""

    version: Literal[1] = 1
    model: Model = Model()
    sampling: Sampling = Sampling()
    queue: Queue = Queue()
    audit: Audit = Audit()
    overlap: Overlap = Overlap()
    consensus: Consensus = Consensus()
    gold: Gold = Gold()
    labelling_functions: Annotated[tuple[LabellingFunction, ...], Field(strict=False, max_length=100)] = ()
    train: Train = Train()
    promote: Promote = Promote()
    routing: Annotated[tuple[Rule, ...], Field(strict=False, max_length=500)] = ()
    tiers: dict[Name, Tier] = Field(default_factory=lambda: {"L1": Tier()}, min_length=1)  # in order of escalation
    calendars: dict[Name, Calendar] = Field(default_factory=dict)
    people: dict[str, Person] = Field(default_factory=dict)  # by e-mail address
    reasons: dict[Name, str] = Field(default_factory=lambda: dict(REASONS), min_length=1)  # code -> as people read it
    feedback: dict[Name, Question] = Field(default_factory=dict)
    signals: dict[Name, SignalKind] = Field(default_factory=dict)  # beside those that everybody may push
    tasks: Tasks = Tasks()
    costs: Costs = Costs()
    rights: Rights = Rights()
    second_look: SecondLook = SecondLook()
    notify: dict[Name, Notify] = Field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Twelve hex digits; equal policies have equal hashes, wherever they were stored meanwhile."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def first_tier(self) -> str:
        """The tier that is the Label Studio project itself."""
        return next(iter(self.tiers))

    @property
    def all_signals(self) -> Mapping[str, SignalKind]:
        """Every signal that may be pushed: those that everybody has, and the policy's own."""
        return {**SIGNALS, **self.signals}

    @property
    def indicators(self) -> dict[str, str]:
        """What models read beside tasks' own data: indicator -> the task field whose value it belongs to."""
        return {name: question.entity for name, question in self.feedback.items() if question.feature}

    def tier_after(self, tier: str) -> str | None:
        """The tier that a case of this one escalates to; None after the last."""
        names = list(self.tiers)
        return next(iter(names[names.index(tier) + 1 :]), None)

    def person(self, email: str) -> Person | None:
        """What the policy says of somebody; the case of an e-mail address does not matter."""
        return next((one for name, one in self.people.items() if same_email(name, email)), None)

    def conditions(self) -> list[Condition]:
        """What each rule asks, in order; the last is always met."""
        return [rule.condition(self.all_signals, self.calendars) for rule in self.routing]

    @model_validator(mode="before")
    @classmethod
    def _tiers_in_order(cls, raw: Any) -> Any:
        """Number the tiers as the file has them: stored JSON sorts its keys."""
        tiers = raw.get("tiers") if isinstance(raw, Mapping) else None
        if not isinstance(tiers, Mapping) or not all(isinstance(tier, Mapping) for tier in tiers.values()):
            return raw
        numbered = {name: {"place": place, **tier} for place, (name, tier) in enumerate(tiers.items())}
        try:
            ordered = sorted(numbered.items(), key=lambda pair: pair[1]["place"])
        except TypeError:
            return raw  # a place that is no number: the schema names it
        return {**raw, "tiers": dict(ordered)}

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Policy:
        if problems := _dangling(self):
            raise ValueError("; ".join(problems))
        return self


def _dangling(policy: Policy) -> list[str]:
    """Everything that is named and not there, and every rule that cannot be read."""
    found = [_unknown(f"rights.tier is {policy.rights.tier!r}", policy.rights.tier, policy.tiers)]
    for name, tier in policy.tiers.items():
        found.append(_unknown(f"tiers.{name}.calendar is {tier.calendar!r}", tier.calendar, policy.calendars))
        found += [_unknown(f"tiers.{name}.notify names {one!r}", one, policy.notify) for one in tier.notify]
    last = list(policy.tiers)[-1]
    if last != policy.first_tier and not {"accept", "fix", "reject"} & set(policy.tiers[last].actions):
        found.append(f"tiers.{last}.actions: nobody could decide there, and there is no tier after it")
    for email, person in policy.people.items():
        found.append(_unknown(f"people.{email}.calendar is {person.calendar!r}", person.calendar, policy.calendars))
        found += [_unknown(f"people.{email}.tiers names {one!r}", one, policy.tiers) for one in person.tiers]
        if "@" not in email:
            found.append(f'people.{email} is no e-mail address; wanted [people."ann@example.com"]')
    if len({email.casefold() for email in policy.people}) < len(policy.people):
        found.append("people names somebody twice: the case of an e-mail address does not matter")
    if policy.all_signals[HUMAN_REVIEW].kind != "flag":
        found.append(f'signals.{HUMAN_REVIEW} asks for a person; wanted kind = "flag"')
    titles = Counter(title or code for code, title in policy.reasons.items())
    found += [
        f"reasons: two read {title!r}, so that nobody can tell them apart" for title in titles if titles[title] > 1
    ]
    if taken := {AUTO, HOLD} & set(policy.tiers):
        found.append(f"tiers.{min(taken)}: a tier cannot be called that, since rules say `to = {min(taken)!r}`")
    return [problem for problem in [*found, *_wrong_rules(policy)] if problem]


def _wrong_rules(policy: Policy) -> list[str]:
    rules, found, seen = policy.routing, list[str](), set[str]()
    for rule in rules:
        where = f"routing.{rule.id}"
        if rule.id in seen:
            found.append(f"{where} is there twice; decisions name the rule by its id")
        seen.add(rule.id)
        found.append(_unknown(f"{where}.to is {rule.to!r}", rule.to, [*policy.tiers, AUTO, HOLD]))
        found.append(_unknown(f"{where}.tier is {rule.tier!r}", rule.tier, policy.tiers))
        if rule.tier and rule.to != AUTO:
            found.append(f'{where}.tier is for to = "auto"; write to = {rule.tier!r}')
        if rule.overlap and rule.to not in (policy.first_tier, AUTO):
            found.append(f"{where}.overlap counts votes in {policy.first_tier}; a tier's own number is its panel")
        if not rule.when and rule is not rules[-1]:
            found.append(f"{where} has no `when`, so no rule after it is ever reached; put it last")
        try:
            rule.condition(policy.all_signals, policy.calendars)
        except ValueError as error:
            found.append(f"{where}.when: {error}")
    if rules and rules[-1].when:
        found.append('the last rule has a `when`; end with one for all others: id = "default", to = "L1"')
    return found


def _unknown(says: str, name: str | None, known: Any) -> str:
    if not name or name in known:
        return ""
    near = get_close_matches(name, list(known), n=1)
    return (
        f"{says}; did you mean {near[0]!r}?" if near else f"{says}; wanted one of {', '.join(known) or 'nothing yet'}"
    )


def same_email(one: str, other: str) -> bool:
    """Whether two addresses are the same; case counts for nothing within ASCII, and everything beyond it.

    Unicode's own folding would let somebody sign up with a look-alike and be taken for another.

    >>> same_email("Kate@example.org", "kate@example.org"), same_email("\u212aate@example.org", "kate@example.org")
    (True, False)
    """
    return one == other or (one.isascii() and other.isascii() and one.lower() == other.lower())
