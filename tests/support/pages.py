"""Data for tests of the pages: a store whose projects have a history, and a Label Studio with five people."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from feedback.dashboard import AccessSettings, DashboardConfig, pages
from feedback.policy import Policy
from feedback.review.case_state_machine import CaseWorkflow
from feedback.store import CaseRow, OverrideRow, ProjectRow, ReviewRow, Store, WindowRow
from ml_backend.app import Security, create_app
from ml_backend.errors import LabelStudioError
from ml_backend.labelstudio.accounts import User, WrongCredentials
from ml_backend.predictor import Predictor
from ml_backend.records import Answer
from tests.support import clock, make_events
from tests.support.serving import FakeRegistry

LABELS = ("spam", "ham", "unsure")
CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t">'
    + "".join(f'<Choice value="{label}"/>' for label in LABELS)
    + "</Choices></View>"
)
START_S = 1_767_225_600.0  # 2026-01-01
DAY_S = 86_400.0
EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e'{{ 7*1234567 }}"
PEOPLE = {
    1: "root@example.com",
    2: "ann@example.com",
    3: "ben@example.com",
    4: "cleo@example.com",
    5: "dan@example.com",
}


class Clock(clock.Clock):
    """A clock that a test moves; it starts nine days after the first answer."""

    def __init__(self, now_s: float = START_S + 9 * DAY_S) -> None:
        super().__init__(now_s)


@dataclass
class FakeAccounts:
    """A Label Studio where everybody's password is "pw-N" and everybody's token "token-N"; user 1 is our own."""

    down: bool = False
    asked: list[str] = field(default_factory=list)
    called: Mapping[int, str] = field(default_factory=lambda: {number: f"Name of {number}" for number in PEOPLE})
    emails: dict[int, str] = field(default_factory=lambda: dict(PEOPLE))

    def by_password(self, email: str, password: str) -> User:
        self._ask(email)
        for number, known in self.emails.items():
            if known == email and password == f"pw-{number}":
                return User(number, known)
        raise WrongCredentials("Label Studio does not accept this e-mail address and password.", status=401)

    def by_token(self, token: str) -> User:
        self._ask("token")
        for number, known in self.emails.items():
            if token == f"token-{number}":
                return User(number, known)
        raise WrongCredentials("Label Studio does not accept this access token.", status=401)

    def is_owner(self, who: User) -> bool:
        return who.id == 1

    def names(self) -> Mapping[int, str]:
        return self.called

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.down:
            raise LabelStudioError("cannot reach Label Studio.")


def policy(**people: str) -> Policy:
    """A policy whose people have these roles, by the name before @example.com."""
    return Policy.model_validate({"people": {f"{name}@example.com": {"role": role} for name, role in people.items()}})


def create_project(store: Store, project: str, chosen: Policy | None = None, **fields: Any) -> None:
    """Create a project with this policy."""
    options: dict[str, Any] = {"audit_share": 0.15}
    if chosen is not None:
        options["policy"] = chosen.model_dump(mode="json")
    values = {"title": f"project {project}", "label_config": CONFIG, "connected": True, **fields}
    store.projects.save_project(ProjectRow(project, options=options, **values))


def add_answers(
    store: Store, project: str, *, tasks: int = 60, people: Sequence[int] = (2, 3, 4, 5), labels: Any = LABELS
) -> None:
    """Let people answer: everybody on every fifth task, one person on the others; each slips at times."""
    rng = random.Random(7)
    store.append(
        make_events.task_events(
            *[make_events.task(n, project=project, is_labeled=n <= tasks // 2) for n in range(1, tasks + 1)]
        )
    )
    number, given = 0, []
    for task in range(1, tasks // 2 + 1):
        for person in people if task % 5 == 0 else [people[task % len(people)]]:
            number += 1
            right = labels[task % 2]
            label = right if rng.random() > 0.06 * person else labels[2]
            given.append(
                make_events.annotation_event(
                    number, label, task=task, person=person, project=project, second=number % 60
                )
            )
    store.append(given)


def add_model_history(store: Store, project: str, accuracies: Sequence[float], *, labels: Any = LABELS) -> None:
    """Record a history of verdicts, the last one a refusal, and all that a turn leaves behind."""
    champion, rows = "", 0
    for number, accuracy in enumerate(accuracies, 1):
        rows, version = 30 + 40 * number, f"m{number}-{number * 7919:x}"
        promote = number < len(accuracies)
        body = {
            "promote": promote,
            "reason": f"not proven worse by more than 0.02 over {rows} rows" if promote else "e-value 31: proven worse",
            "gate": "refresh" if champion else "first",
            "challenger": version,
            "champion": champion,
            "rows": rows,
            "accuracy": accuracy,
            "champion_accuracy": accuracies[number - 2] if champion else None,
            "e_value": 1.7 if champion else None,
            "at_s": START_S + number * DAY_S,
        }
        store.records.create_record(project, "verdict", body, key=version)
        trained = {"version": version, "recipe": "text-choices/2", "rows": 10 * number, "tasks": [], "annotations": [1]}
        trained["fingerprint"] = version
        store.records.create_record(project, "training", trained | {"at_s": START_S + number * DAY_S}, key=version)
        champion = version if promote else champion
    alpha = {"value": 0.71, "low": 0.52, "high": 0.9, "items": 41, "pairs": 80, "note": ""}
    agreed = {
        "percent": alpha | {"value": 0.86},
        "coefficient": {"name": "alpha", **alpha},
        "clear": None,
        "at_s": START_S,
    }
    confused = {"answers": [labels[0], labels[2]], "share": 0.64}
    reading = "alpha 0.71 [0.52, 0.90] on 41 items: 0.6 is within the interval, so it is not known yet."
    store.records.create_record(
        project, "agreement", agreed | {"reading": reading, "confused_labels": confused, "open_first": [5, 10]}
    )
    answer = Answer("choices", (labels[0],))
    places = [WindowRow(20 + n, f"{champion}+q9", n, answer, 0.8, n % 4 == 0, None, START_S) for n in range(30)]
    store.windows.save_window(project, places)
    store.records.create_record(
        project, "asked", {"version": f"{champion}+q9", "rows": 30, "held": 30, "why": "model m5 serves"}
    )
    store.records.create_record(
        project, "turn", {"notes": [f"not trained: {labels[1]} stands alone"], "trainable": 30, "asked": ""}
    )


def tiers(**people: str) -> Policy:
    """The same with three tiers; the last one is blind."""
    levels = {"L1": {}, "L2": {"resolve": "4h"}, "L3": {"blind": True, "title": "Appeals"}}
    return Policy.model_validate({**policy(**people).model_dump(mode="json"), "tiers": levels})


def review(store: Store, project: str, chosen: Policy, *, text: str = "people disagree") -> list[int]:
    """Create three cases (one late with a review, one blind, one decided) and overrides; return the case numbers."""
    spam, ham = (Answer("choices", (label,)) for label in ("spam", text))
    workflow = CaseWorkflow(store, project, chosen, now_s=START_S + 8 * DAY_S)
    new = [
        CaseRow(project, 1, "queued", "L2", why=text, segment="default", proposal=spam, proposed_by="model",
                confidence=0.61, model="m2"),
        CaseRow(project, 2, "queued", "L3", why="secret reason", rule="appeals", segment="default", proposal=ham,
                proposed_by="people"),
        CaseRow(project, 3, "queued", "L2", why="drawn", segment="default"),
    ]  # fmt: skip
    late, blind, done = workflow.open(new)
    reviewed = ReviewRow(
        "70", 900, late.id, 1, "L2", late.entered_s, 3, "fix", ham, "boundary", text, {}, spam, "v1",
        START_S + 8.5 * DAY_S, 30.0, counted=False, refused="answered below",
    )  # fmt: skip
    workflow.move(late, "refuse", note=text, person=3, reviews=[reviewed])
    workflow.move(done, "decide", person=4, answer=ham)
    rows = [
        OverrideRow(
            project, number, number, 3, spam, 0.7, "m2", spam if number % 4 else ham, changed=number % 4 == 0,
            blind=number % 2 == 1, reason=("boundary", text)[number % 8 == 0] if number % 4 == 0 else "", segment="",
            tier="L1", policy="", at_s=START_S, annotation_version="",
        )
        for number in range(1, 41)
    ]  # fmt: skip
    store.overrides.save_overrides(rows)
    return [late.id, blind.id, done.id]


def create_hostile_project(store: Store, project: str, text: str, *, labels: Sequence[str]) -> None:
    """Create a project in which everything that somebody else can write is this text, or one of three labels."""
    rules = tiers(ann="admin").model_dump(mode="json")
    chosen = Policy.model_validate(
        {**rules, "reasons": {"boundary": text}, "tiers": {**rules["tiers"], "L9": {"blind": True}}}
    )
    create_project(store, project, chosen, title=text)
    review(store, project, chosen, text=text)
    add_answers(store, project, labels=labels)
    add_model_history(store, project, [0.8, 0.9, 0.85], labels=labels)
    body = {"promote": True, "reason": text, "gate": text, "challenger": text, "champion": text, "rows": 50}
    figures = {"accuracy": 0.9, "champion_accuracy": 0.9, "e_value": 1.0, "at_s": START_S + DAY_S}
    store.records.create_record(project, "verdict", body | figures, key=text)
    store.records.create_record(project, "turn", {"notes": list(labels), "trainable": 1, "asked": text})
    store.records.create_record(project, "asked", {"version": text, "rows": 1, "why": text})
    store.append(make_events.task_events(make_events.task(1, text, project=project, second=30)))
    store.jobs.request_job(project, text)
    claim = store.jobs.claim_job("worker", lease_s=60, kinds=(text,))
    assert claim is not None
    store.jobs.fail_job(claim, text)


def app_of(
    store: Store,
    *,
    accounts: FakeAccounts | None = None,
    access_settings: AccessSettings | None = None,
    login: tuple[str, str] = ("", ""),
    clock: Clock | None = None,
    **config: Any,
) -> Flask:
    """An app with pages and no model."""
    made = DashboardConfig(
        store,
        access_settings or AccessSettings(),
        accounts or FakeAccounts(),
        clock=clock or Clock(),
        label_studio_url="http://labels.example:8080",
        **config,
    )
    return create_app(Predictor(FakeRegistry()), security=Security(*login), mounts=[pages(made)])


HTML = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}


def key_of(page: str) -> str:
    """The key in the first form of a page."""
    return page.split('name="key" value="', 1)[1].split('"', 1)[0]


def sign_in(browser: FlaskClient, person: int, *, next_page: str = "/", **form: str) -> TestResponse:
    """Open the form and send it, as a browser does."""
    page = browser.get("/sign-in", headers=HTML).text
    fields = {"email": PEOPLE[person], "password": f"pw-{person}", "next": next_page, "key": key_of(page), **form}
    return browser.post("/sign-in", data=fields, headers=HTML)


def signed_in(store: Store, person: int, **config: Any) -> FlaskClient:
    """A browser in which a person is signed in."""
    browser = app_of(store, **config).test_client()
    sign_in(browser, person)
    return browser


def words(page: str) -> str:
    """The text of a page, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page)).replace("&#39;", "'")
