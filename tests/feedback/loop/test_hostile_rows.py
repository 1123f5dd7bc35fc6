"""Rows with one hostile value each, by webhook, poll and signal: no turn fails, and no neighbour loses anything."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from feedback.ingest.signals import make_signal_mount
from feedback.ingest.webhook_handler import WebhookHandler
from feedback.policy import read_policy
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.store import Store
from ml_backend.app import create_app
from ml_backend.errors import BackendError
from ml_backend.labelstudio.parsing import read_annotation, read_task
from ml_backend.predictor import Predictor
from tests.support.connected_project import ConnectedProject, truth
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.hostile import TEXTS, VALUES
from tests.support.proof import size

AT = "2026-01-01T00:10:00Z"
POLICY = read_policy("""
[tasks]
key = "order"
[queue]
window = 300
[overlap]
share = 0.1
[audit]
share = 0.2
[train]
min_rows = 8
min_new = 8
[tiers.L1]
[tiers.L2]
[feedback.mood]
kind = "rating"
entity = "customer"
feature = true
[[routing]]
id = "big"
to = "L2"
when = { data.amount.gte = 50000 }
[[routing]]
id = "named"
to = "L1"
when = { data.text.contains = "poison" }
[[routing]]
id = "rest"
to = "L1"
""")


def hostile_rows(n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield n webhook bodies, each with one hostile value in one field."""
    for number, value in enumerate(islice(cycle(VALUES), n)):
        task_id, word = 50_000 + number, ("pear", "saw")[number % 2]
        task: dict[str, Any] = {"id": task_id, "project": 7, "created_at": AT, "updated_at": AT, "is_labeled": False}
        task["data"] = {
            "text": f"a{number} {word} odd",
            "amount": 1,
            "order": f"o{number}",
            "customer": number % 7,
        }
        answer: dict[str, Any] = {"id": 90_000 + number, "task": task_id, "completed_by": 1, "updated_at": AT}
        answer |= {"created_at": AT, "result": _result(("fruit", "tool")[number % 2]), "was_cancelled": False}
        body: dict[str, Any] = {
            "action": "ANNOTATION_CREATED",
            "project": {"id": 7},
            "task": task,
            "annotation": answer,
        }
        fields = (
            (task["data"], ("text", "amount", "order", "customer", "more")),
            (task, ("created_at", "updated_at", "overlap", "is_labeled", "data")),
            (
                answer,
                ("result", "updated_at", "created_at", "completed_by", "lead_time", "parent_prediction", "unique_id"),
            ),
            (answer["result"][0], ("value", "type", "from_name", "to_name", "id", "score")),
            (answer["result"][0]["value"], ("choices", "more")),
        )
        places = [(where, name) for where, names in fields for name in names]
        where, name = places[number // len(VALUES) * 7 % len(places) if n > 1_000 else number % len(places)]
        where[name] = value
        yield name, body


def long_rows() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a webhook body for each field, with a text in it that no index of PostgreSQL takes, however compressed."""
    for name, body in hostile_rows(25):  # as many as there are fields
        chance = random.Random(name)
        text = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=40_000))
        for where in (body["task"], body["task"]["data"], body["annotation"], *_regions(body)):
            if isinstance(where, dict) and name in where:
                where[name] = text
        yield name, body


def _regions(body: dict[str, Any]) -> list[Any]:
    result = body["annotation"]["result"]
    return [*result, *(region.get("value") for region in result)] if isinstance(result, list) else []


def _result(label: str) -> list[dict[str, Any]]:
    region = {"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": [label]}}
    return [region, {"from_name": "mood", "to_name": "text", "type": "rating", "value": {"rating": 3}}]


def add_to_platform(project: ConnectedProject, body: dict[str, Any]) -> None:
    """Let Label Studio have the row, too, as far as it is one."""
    with suppress(BackendError):
        task = read_task(body["task"], "7")
        project.studio.tasks[task.id] = replace(task, updated_at=project.studio._tick())
        given = read_annotation(body["annotation"], "7")
        project.studio.annotations[given.id] = replace(given, updated_at=project.studio._tick())


@pytest.fixture
def store_url(url: str) -> str:
    """Run on SQLite and on PostgreSQL."""
    return url


def test_a_very_long_text_in_any_field_delays_no_other_delivery(store: Store, tmp_path: Path):
    project = ConnectedProject(store, tmp_path / "models")
    project.connect(POLICY)
    webhook = WebhookHandler(store)
    for _name, body in long_rows():
        webhook(body)
        add_to_platform(project, body)
    project.label(20)

    turns = [project.turn(), project.turn()]

    assert store.get_inbox_status().deliveries == 0
    votes = {vote.task for vote in store.votes.list_votes("7")}
    assert votes >= {row.task for row in project.studio.annotations.values() if row.id < 50_000}
    assert not [note for turn in turns for note in turn.notes if "not collected" in note]


def test_hostile_rows_fail_no_turn_and_cost_no_neighbour(store: Store, tmp_path: Path):
    project = ConnectedProject(store, tmp_path / "models")
    project.connect(POLICY)
    project.turn()
    app = create_app(
        Predictor(store.registry, load=project.loop._services.model_factory.load),
        webhook=WebhookHandler(store),
        mounts=[make_signal_mount(store)],
    ).test_client()
    good = [task for task in project.studio.tasks if task <= 120]

    for name, body in hostile_rows(size(ci=260, full=5_000)):
        answer = app.post("/webhook", data=json.dumps(body))
        assert answer.status_code < 500, (name, answer.text)
        signal = {"project": "7", "signal": "user_report", "value": "scam", "id": f"s{body['task']['id']}"}
        signal |= {"task": body["task"]["id"], "note": str(body["task"].get("data"))[:50]}
        assert app.post("/signal", data=json.dumps(signal)).status_code < 500
        add_to_platform(project, body)
    for value in TEXTS:
        body = {"action": value, "project": {"id": 7, "title": value, "label_config": TEXT_CONFIG}}
        assert app.post("/webhook", data=json.dumps(body)).status_code < 500
        body |= {"action": "PROJECT_UPDATED", "tasks": [{"id": 1, "data": {"text": value}}]}
        assert app.post("/webhook", data=json.dumps(body)).status_code < 500
        for name in ("signal", "value", "id", "source", "note", "at", "key", "callback"):
            signal = {"project": "7", "signal": "user_report", "value": "x", "task": 1, "id": "i", name: value}
            assert app.post("/signal", data=json.dumps(signal)).status_code < 500, name
    project.label(60)
    turns = [project.turn() for _ in range(3)]

    votes = {vote.task: vote.answer.value for vote in store.votes.list_votes("7") if vote.task in good}
    answered = {row.task for row in project.studio.annotations.values() if row.task in good}
    assert set(votes) == answered
    assert all(votes[task] == (truth(str(project.studio.tasks[task].data["text"])),) for task in votes)
    assert turns[-1].version, turns[-1]
    assert not [note for turn in turns for note in turn.notes if "not trained" in note or "not collected" in note]
    routed = store.decisions.list_current_decisions("7")
    assert set(good) <= set(routed) | answered
    predictions = app.post("/predict", data=json.dumps({
        "project": "7", "label_config": TEXT_CONFIG,
        "tasks": [body["task"] for _name, body in hostile_rows(150)] + [{"id": 1, "data": {"text": "a1 apple red"}}],
    }))  # fmt: skip
    assert predictions.status_code == 200, predictions.text
    assert predictions.json["results"][-1]["score"] > 0.5
    row = store.projects.get_project("7")
    assert row is not None
    assert [*status_lines(project_status(store, row))]
    assert [job.state for job in store.jobs.list_jobs() if job.state == "parked"] == []
    assert store.verify()["chain"] == "ok"
