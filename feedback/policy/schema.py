"""The schema of hitl.toml: every key with its type, range and default, and checks across sections."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from feedback.policy.calendars import Calendar
from feedback.policy.conditions import Condition
from feedback.policy.field_types import Money, Name, Section, Share
from feedback.policy.key_positions import KeyPath
from feedback.policy.reviewer_questions import HUMAN_REVIEW, REASONS, SIGNALS, Question, Rights, SecondLook, SignalKind
from feedback.policy.rules import AUTO, HOLD, Rule
from feedback.policy.tiers import Notify, Person, Tier

FieldName = Annotated[str, Field(min_length=1, max_length=200)]  # of a task's data


class Model(Section):
    """Which model learns. By default, the one for the project's label config."""

    features: Literal["default", "embedding", "vision"] = "default"  # what the built-in model learns from
    hosted: str = ""  # "file.py:Class", a label-studio-ml 1.0.9 model
    control: str = ""  # which control it predicts; "": as LabelConfig.control chooses
    # exactly the task fields that it reads beside the one of the control; None: those that are of use
    fields: Annotated[tuple[FieldName, ...], Field(strict=False, max_length=200)] | None = None
    without_fields: Annotated[tuple[FieldName, ...], Field(strict=False, max_length=200)] = ()  # that it never reads


class Sampling(Section):
    """Which task people get next."""

    strategy: str = "margin"
    random_share: Share = 0.1  # share of the queue that is drawn at random instead of by the strategy

    @property
    def looks_at_distances(self) -> bool:
        """Return whether the strategy needs vectors in addition to probabilities."""
        return self.strategy in ("ranked", "mkm", "typical")


class Queue(Section):
    """The window of tasks that is written to Label Studio."""

    window: Annotated[int, Field(ge=1, le=100_000)] = 500
    head: Annotated[int, Field(ge=1, le=250)] = 25  # written one by one, so that they are served at once
    low_water: Share = 0.4  # below this share of open tasks the window is written again


class Audit(Section):
    """The random sample that evaluates models; no model learns it."""

    share: Annotated[float, Field(ge=0.0, le=0.5)] | None = None  # None: chosen at connect from the number of tasks
    quota: Share = 0.2  # of the queue, once `start` tasks are answered
    start: Annotated[int, Field(ge=0)] = 100  # until so many tasks are answered, half of the queue is audit tasks


class Overlap(Section):
    """How many people answer one task."""

    share: Share = 0.1  # of the tasks, drawn at random, for an unbiased agreement
    votes: Annotated[int, Field(ge=1, le=20)] = 2  # on those
    max_votes: Annotated[int, Field(ge=1, le=20)] = 3  # at most, when people differ
    adaptive: bool = True  # ask again where that is worth more than a new task; needs estimated reliabilities
    least_gain: Share = 0.1  # of the information in a certain answer; below it no more votes are requested
    measure: str = "alpha"  # judges the task definition: percent, alpha, ac1, fleiss, ..., or the name of a plug-in


class Consensus(Section):
    """How the votes on a task become a label. Audit and gold tasks always use the majority."""

    method: str = "auto"  # auto, majority, dawid_skene, hierarchical, one_coin, weighted, or the name of a plug-in
    sure: Share = 0.8  # the consensus probability from which a tie is decided
    model_votes: bool = True  # weight training rows with one to three votes also by an out-of-fold model
    write_back: bool = False  # write consensus labels of several people into Label Studio


class Gold(Section):
    """Tasks with a known answer, mixed into the queue; the answers are in our store only (`hitl gold add`)."""

    share: Share = 0.05  # of the queue
    onboarding: Annotated[int, Field(ge=0, le=1000)] = 10  # gold tasks that a new person gets first
    tolerance: Share = 0.3  # the largest distance (of the codec) at which a region, text, order or date is right
    pause_below: Share = 0.6  # a person should be paused when their accuracy is below this with confidence
    retire_after: Annotated[int, Field(ge=1)] = 200  # answers, after which people know a gold task


class Imports(Section):
    """Answers that were imported with their tasks. They are never votes, and measure no model."""

    use: Literal["train", "gold", "ignore"] = "train"  # training rows, gold answers that measure people, or nothing
    # which of their tasks people are asked as well, blind: none, the audit tasks, or all; their answer counts instead
    ask: Literal["none", "audit", "all"] = "none"


class LabellingFunction(Section):
    """A function that votes for pre-annotations before the first model; never counted as a person."""

    name: Name
    # "package.module:function"; takes task data, returns a label or None
    function: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]


class Train(Section):
    """When a challenger is trained."""

    min_rows: Annotated[int, Field(ge=2)] = 20
    min_new: Annotated[int, Field(ge=1)] = 20  # new answers since the last training
    growth: Annotated[float, Field(ge=0.0, le=10.0)] = 0.15  # ... or this share of its training rows, if that is more
    overrides: Annotated[int, Field(ge=1)] = 10  # fewer are enough when so many changed the shown prediction
    seed: Annotated[int, Field(ge=0)] = 0


class Promote(Section):
    """When a challenger becomes the champion (docs/statistics.md)."""

    max_loss: Share = 0.02  # a refresh is refused when it is proven worse by more than this
    alpha: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.05


class Tasks(Section):
    """Identifiers of tasks in other systems."""

    key: str = ""  # the task field by which signals may name a task, such as "order_id"; "": by its number alone


class Costs(Section):
    """Costs in addition to wages, in the same currency."""

    error: Money | None = None  # of a wrong answer that nobody reviewed; None: unknown


class PolicyProblems(ValueError):
    """Everything that contradicts another part of a policy: for each problem the path of its key, and a sentence."""

    def __init__(self, problems: list[tuple[KeyPath, str]]) -> None:
        super().__init__("; ".join(sentence for _path, sentence in problems))
        self.problems = problems


class Policy(Section):
    """The policy of one project. Each decision records the `hash` of its policy."""

    version: Literal[1] = 1
    model: Model = Model()
    sampling: Sampling = Sampling()
    queue: Queue = Queue()
    audit: Audit = Audit()
    overlap: Overlap = Overlap()
    consensus: Consensus = Consensus()
    gold: Gold = Gold()
    imports: Imports = Imports()
    labelling_functions: Annotated[tuple[LabellingFunction, ...], Field(strict=False, max_length=100)] = ()
    train: Train = Train()
    promote: Promote = Promote()
    routing: Annotated[tuple[Rule, ...], Field(strict=False, max_length=500)] = ()
    tiers: dict[Name, Tier] = Field(default_factory=lambda: {"L1": Tier()}, min_length=1)  # in order of escalation
    calendars: dict[Name, Calendar] = Field(default_factory=dict)
    people: dict[str, Person] = Field(default_factory=dict)  # by e-mail address
    reasons: dict[Name, str] = Field(default_factory=lambda: dict(REASONS), min_length=1)  # code -> as people read it
    feedback: dict[Name, Question] = Field(default_factory=dict)
    signals: dict[Name, SignalKind] = Field(default_factory=dict)  # in addition to the built-in signals
    tasks: Tasks = Tasks()
    costs: Costs = Costs()
    rights: Rights = Rights()
    second_look: SecondLook = SecondLook()
    notify: dict[Name, Notify] = Field(default_factory=dict)

    @property
    def hash(self) -> str:
        """Return twelve hex digits; equal policies have equal hashes."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def first_tier(self) -> str:
        """Return the tier that is the Label Studio project itself."""
        return next(iter(self.tiers))

    @property
    def all_signals(self) -> Mapping[str, SignalKind]:
        """Return the built-in signals and those of the policy."""
        return {**SIGNALS, **self.signals}

    @property
    def indicators(self) -> dict[str, str]:
        """Return the questions with `feature = true`: indicator -> task field of the entity that it describes."""
        return {name: question.entity for name, question in self.feedback.items() if question.feature}

    def tier_after(self, tier: str) -> str | None:
        """Return the tier to which a case of this tier escalates; None after the last, or for an unknown tier."""
        names = list(self.tiers)
        return next(iter(names[names.index(tier) + 1 :]), None) if tier in names else None

    def person(self, email: str) -> Person | None:
        """Return the [people] entry of an e-mail address, ignoring case; None where there is none."""
        return next((person for name, person in self.people.items() if same_email(name, email)), None)

    def people_in(self, tier: str) -> list[Person]:
        """Return the people of [people] who may answer in a tier."""
        return [person for person in self.people.values() if tier in self.tiers_of(person)]

    def tiers_of(self, person: Person | None) -> tuple[str, ...]:
        """Return the tiers in which a person may answer; None is somebody whom [people] does not list."""
        return (person and person.tiers) or (self.first_tier,)

    def conditions(self) -> list[Condition]:
        """Return the condition of each rule, in order; the last is always true."""
        return [rule.condition(self.all_signals, self.calendars) for rule in self.routing]

    @model_validator(mode="before")
    @classmethod
    def _tiers_in_order(cls, raw: Any) -> Any:
        """Number the tiers in the order of the file, because stored JSON sorts its keys."""
        tiers = raw.get("tiers") if isinstance(raw, Mapping) else None
        if not isinstance(tiers, Mapping) or not all(isinstance(tier, Mapping) for tier in tiers.values()):
            return raw
        numbered = {name: {"place": place, **tier} for place, (name, tier) in enumerate(tiers.items())}
        try:
            ordered = sorted(numbered.items(), key=lambda pair: pair[1]["place"])
        except TypeError:
            return raw  # a place that is not a number: the schema reports it
        return {**raw, "tiers": dict(ordered)}

    @model_validator(mode="after")
    def _references_exist(self) -> Policy:
        if problems := [*_list_reference_errors(self), *_list_rule_errors(self)]:
            raise PolicyProblems(problems)
        return self


def _list_reference_errors(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    """Return an error for every reference to something undefined."""
    if policy.model.hosted and policy.model.features != "default":
        what = "is for our own models, and a hosted model has its own; leave one of both out"
        yield ("model", "features"), f"model.features {what}"
    for key in ("fields", "without_fields"):
        if policy.model.hosted and getattr(policy.model, key):
            yield ("model", key), f"model.{key} is for our own models; a hosted model reads the whole task"
    yield from _unknown(("rights", "tier"), "is", policy.rights.tier, policy.tiers, "tiers")
    for name, tier in policy.tiers.items():
        yield from _unknown(("tiers", name, "calendar"), "is", tier.calendar, policy.calendars, "calendars")
        for place, target in enumerate(tier.notify):
            yield from _unknown(("tiers", name, "notify", place), "has", target, policy.notify, "notify")
    last = list(policy.tiers)[-1]
    if last != policy.first_tier and not {"accept", "fix", "reject"} & set(policy.tiers[last].actions):
        what = "nobody can decide in the last tier; add accept, fix or reject"
        yield ("tiers", last, "actions"), f"tiers.{last}.actions: {what}"
    for email, person in policy.people.items():
        yield from _unknown(("people", email, "calendar"), "is", person.calendar, policy.calendars, "calendars")
        for place, tier_name in enumerate(person.tiers):
            yield from _unknown(("people", email, "tiers", place), "has", tier_name, policy.tiers, "tiers")
        if "@" not in email:
            yield ("people", email), f'people.{email} is no e-mail address; wanted [people."ann@example.com"]'
    yield from _list_title_errors(policy)


def _list_title_errors(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    """Return an error for names and titles that two entries have, or that are taken."""
    if len({email.casefold() for email in policy.people}) < len(policy.people):
        yield ("people",), "people has an address twice: upper and lower case make no difference"
    if policy.all_signals[HUMAN_REVIEW].kind != "flag":
        what = f'signals.{HUMAN_REVIEW} requests a human review; wanted kind = "flag"'
        yield ("signals", HUMAN_REVIEW), what
    titles = Counter(title or code for code, title in policy.reasons.items())
    for title in titles:
        if titles[title] > 1:
            yield ("reasons",), f"reasons: two have the title {title!r}"
    if taken := {AUTO, HOLD} & set(policy.tiers):
        reserved = min(taken)
        yield ("tiers", reserved), f"tiers.{reserved}: this name is reserved for rules with `to = {reserved!r}`"


def _list_rule_errors(policy: Policy) -> Iterator[tuple[KeyPath, str]]:
    """Return an error for every rule that cannot be parsed, or stands where it must not."""
    rules, seen = policy.routing, set[str]()
    for number, rule in enumerate(rules):
        where, path = f"routing.{rule.id}", ("routing", number)
        if rule.id in seen:
            yield (*path, "id"), f"{where} exists twice; rules need different ids"
        seen.add(rule.id)
        tiers = [*policy.tiers, AUTO, HOLD]
        yield from _unknown((*path, "to"), "is", rule.to, tiers, "tiers", rule=rule.id)
        yield from _unknown((*path, "tier"), "is", rule.tier, policy.tiers, "tiers", rule=rule.id)
        if rule.tier and rule.to != AUTO:
            yield (*path, "tier"), f'{where}.tier is for to = "auto"; write to = {rule.tier!r}'
        if rule.overlap and rule.to not in (policy.first_tier, AUTO):
            what = f"is for {policy.first_tier}; in later tiers use protocol and panel"
            yield (*path, "overlap"), f"{where}.overlap {what}"
        if not rule.when and rule is not rules[-1]:
            yield path, f"{where} has no `when`, so no later rule is reached; put it last"
        try:
            rule.condition(policy.all_signals, policy.calendars)
        except ValueError as error:
            yield (*path, "when"), f"{where}.when: {error}"
    if rules and rules[-1].when:
        what = 'the last rule has a `when`; end with a rule for all other tasks: id = "default", to = "L1"'
        yield ("routing", len(rules) - 1, "when"), what


def _unknown(
    path: KeyPath, verb: str, name: str | None, defined: Collection[str], section: str, *, rule: str = ""
) -> Iterator[tuple[KeyPath, str]]:
    """Return the error about a name that its section of the file does not define; none where it does."""
    if not name or name in defined:
        return
    key = f"routing.{rule}.{path[-1]}" if rule else ".".join(part for part in path if isinstance(part, str))
    text = f"{key} {verb} {name!r}"
    if near := get_close_matches(name, list(defined), n=1):
        yield path, f"{text}; did you mean {near[0]!r}?"
    elif defined:
        yield path, f"{text}; wanted one of {', '.join(defined)}"
    else:
        yield path, f"{text}; add [{section}.{name}], there is none"


def same_email(first: str, second: str) -> bool:
    """Return whether two addresses are the same; upper and lower case differ only outside ASCII.

    With Unicode case folding, a person could sign up with a look-alike address of another person.

    >>> same_email("Kate@example.org", "kate@example.org"), same_email("\u212aate@example.org", "kate@example.org")
    (True, False)
    """
    return first == second or (first.isascii() and second.isascii() and first.lower() == second.lower())
