"""POST /signal: guarded like a webhook, checked against the policy, stored once, joined to decisions."""

from __future__ import annotations

from typing import Any

import pytest

from feedback.ingest.signals import OutcomeSummary, SignalHandler, make_signal_mount, summarize_outcomes
from feedback.policy import Policy, read_policy
from feedback.store import CurrentDecision, Decision, ProjectRow, Store
from ml_backend.app import Security, create_app
from ml_backend.errors import BodyError
from ml_backend.predictor import Predictor
from tests.support.serving import FakeRegistry

NOW_S = 1_800_000_000.0  # 2027-01-15T08:00:00Z
POLICY = read_policy(
    '[signals.risk]\nkind = "number"\nlow = 0.0\nhigh = 1.0\n[signals.weight]\nkind = "number"\n'
    '[notify.crm]\nurl = "https://crm.example.com"'
)
REPORT = {"project": 7, "task": 5, "signal": "user_report", "value": "scam", "id": "r1"}


@pytest.fixture
def store_with_policy(store: Store) -> Store:
    store.projects.save_project(ProjectRow("7", "t", "<View/>", options={"policy": POLICY.model_dump(mode="json")}))
    return store


def handler(store: Store, **options: Any) -> SignalHandler:
    return SignalHandler(store, clock=lambda: NOW_S, **options)


def test_a_signal_is_stored_and_requests_a_turn(store_with_policy: Store):
    answer = handler(store_with_policy)(REPORT)
    (found,) = store_with_policy.signals.list_signals("7")

    assert answer == {"status": "ok", "new": True, "id": "r1"}
    assert (found.name, found.value, found.task, found.at_s) == ("user_report", "scam", 5, NOW_S)
    assert store_with_policy.jobs.claim_job("w", lease_s=9, kinds=("turn",)) is not None


def test_a_repeat_is_one_signal_and_requests_no_other_turn(store_with_policy: Store):
    take = handler(store_with_policy)
    take(REPORT)
    claim = store_with_policy.jobs.claim_job("w", lease_s=9, kinds=("turn",))
    assert claim is not None
    store_with_policy.jobs.finish_job(claim)

    assert take(REPORT) == {"status": "ok", "new": False, "id": "r1"}
    assert len(store_with_policy.signals.list_signals("7")) == 1
    assert [row.state for row in store_with_policy.jobs.list_jobs()] == ["idle"]


def test_without_an_id_the_time_makes_a_repeat_known(store_with_policy: Store):
    body = {name: value for name, value in REPORT.items() if name != "id"} | {"at": "2027-01-15T07:00:00Z"}
    take = handler(store_with_policy)
    first, repeated = take(body), take(body)
    other = take(body | {"at": "2027-01-15T07:00:01Z"})

    assert (first["new"], repeated["new"], other["new"]) == (True, False, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signal": "user_reprot"}, "did you mean 'user_report'"),
        ({"signal": None}, "no signal is called"),
        ({"signal": "thumbs", "value": "sideways"}, "wanted one of up, down"),
        ({"signal": "sentiment", "value": 7}, "wanted a number from -1.0 to 1.0"),
        ({"signal": "sentiment", "value": True}, "wanted a number"),
        ({"signal": "csat", "value": float("nan")}, "wanted a number from 1.0 to 5.0"),
        ({"signal": "risk", "value": "0.5"}, "wanted a number from 0.0 to 1.0"),
        ({"signal": "weight", "value": float("inf")}, "is inf; wanted a number"),
        ({"signal": "weight", "value": 10**30}, "wanted a number"),
        ({"signal": "thumbs", "value": None}, "is missing; wanted one of up, down"),
        ({"value": None}, "is missing; wanted a text"),
        ({"signal": "human_review", "value": True, "task": None}, "asks for a person for one task"),
        ({"signal": "chargeback", "value": 1}, "wanted true or false"),
        ({"value": ""}, "is no text of 1 to 500"),
        ({"value": "x" * 501}, "is no text of 1 to 500"),
        ({"task": "5"}, "task is no task id"),
        ({"task": True}, "task is no task id"),
        ({"task": 2**63}, "task is no task id"),
        ({"project": 8}, "project 8 is not connected"),
        ({"project": "../x"}, "project"),
        ({"at": "yesterday"}, "wanted a time such as"),
        ({"at": 5}, "wanted a time such as"),
        ({"at": "2099-01-01T00:00:00Z"}, "in the future"),
        ({"id": ""}, "neither id nor at is given"),
        ({"id": "x" * 201}, "at most 200"),
        ({"note": 5}, "note is 5; wanted a text"),
        ({"callback": "https://evil.example.com"}, r"is not in \[notify\] of the policy; known: crm"),
        ({"tsak": 5}, "tsak is not a key; did you mean task"),
    ],
)
def test_what_is_no_signal_is_refused_with_what_was_wanted(
    store_with_policy: Store, change: dict[str, Any], message: str
):
    with pytest.raises(BodyError, match=message):
        handler(store_with_policy)(REPORT | change)

    assert store_with_policy.signals.list_signals("7") == []


@pytest.mark.parametrize("body", [None, [], "x", 5])
def test_a_body_that_is_no_object_is_refused_with_an_example(store_with_policy: Store, body: Any):
    with pytest.raises(BodyError, match="wanted an object") as caught:
        handler(store_with_policy)(body)
    assert '"signal": "user_report"' in caught.value.hint


def test_a_declared_signal_and_a_named_callback_are_taken(store_with_policy: Store):
    answer = handler(store_with_policy)({"project": "7", "signal": "risk", "value": 0.5, "id": "a", "callback": "crm"})

    assert answer["new"]
    assert store_with_policy.signals.list_signals("7")[0].callback == "crm"
    assert store_with_policy.signals.list_signals("7")[0].task is None


def test_over_http_it_is_guarded_like_a_webhook(store_with_policy: Store):
    registry = FakeRegistry({})
    app = create_app(
        Predictor(registry, load=registry.load),
        security=Security(secrets=lambda: ("s3cret",)),
        mounts=[make_signal_mount(store_with_policy, clock=lambda: NOW_S)],
    )
    client = app.test_client()
    right = {"X-Hitl-Secret": "s3cret"}

    assert client.post("/signal", json=REPORT).status_code == 401
    assert client.post("/signal", json=REPORT, headers={"X-Hitl-Secret": "no"}).status_code == 401
    assert store_with_policy.signals.list_signals("7") == []
    assert client.post("/signal", json=REPORT, headers=right).json == {"status": "ok", "new": True, "id": "r1"}
    wrong = client.post("/signal", json=REPORT | {"signal": "x"}, headers=right)
    assert (wrong.status_code, "no signal is called 'x'" in wrong.json["error"]) == (400, True)
    assert client.post("/signal", data="{", headers=right).status_code == 400
    assert client.get("/signal", headers=right).status_code == 405


def test_late_outcomes_are_summarized_by_model_and_policy(store_with_policy: Store):
    auto = CurrentDecision("sure", "L1", "p1", "m1", "", "normal", "default", None)
    people = CurrentDecision("default", "L1", "p1", "m2", "", "normal", "default", None)
    store_with_policy.decisions.create_decisions("7", [Decision(task, 1.0, "c", auto, {}) for task in (1, 2)])
    store_with_policy.decisions.create_decisions("7", [Decision(3, 1.0, "c", people, {})])
    take = handler(store_with_policy)
    for task, value in ((1, "up"), (2, "down"), (3, "up")):
        take({"project": 7, "task": task, "signal": "thumbs", "value": value, "id": f"t{task}"})
    take({"project": 7, "task": 3, "signal": "csat", "value": 4, "id": "c3"})
    take({"project": 7, "task": 99, "signal": "chargeback", "id": "b99"})  # nothing was decided about it
    take({"project": 7, "task": 1, "signal": "user_report", "value": "x", "id": "u1"})  # no outcome

    assert summarize_outcomes(store_with_policy, "7", Policy()) == [
        OutcomeSummary("", "", "", "chargeback", 1, 1.0),
        OutcomeSummary("m1", "p1", "L1", "thumbs", 2, 0.5),
        OutcomeSummary("m2", "p1", "L1", "csat", 1, 4.0),
        OutcomeSummary("m2", "p1", "L1", "thumbs", 1, 1.0),
    ]
