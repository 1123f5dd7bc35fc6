"""One question has one answer: command line, pages, JSON and /metrics show the same figure of the same sample."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from typer.testing import CliRunner

from feedback.cli import app
from feedback.errors import FeedbackError
from feedback.loop.turn import record_agreement, record_annotators
from feedback.policy import Policy
from feedback.project.snapshot import load_counted_snapshot
from feedback.reports.figures import figure_text
from feedback.reports.project_status import service_gauges
from feedback.store import Store
from ml_backend.app.metrics import Metrics
from ml_backend.number_format import format_coefficient, format_estimate, format_share
from ml_backend.registry import Artefact, digest_of
from tests.support import pages, stores

SERVING = "m2-3dde"
NOW_S = pages.START_S + 9 * pages.DAY_S
NO_FIGURE = re.compile(r"\bnan\b|\bNaN\b|\bNone\b|\binf\b|(?<![\d.])-0(\.0+)?(?![\d.])|\d%|\d\u202f\d|\d \w+\(s\)")


def hitl(*words: object) -> str:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False).output


@dataclass(frozen=True)
class Service:
    """A store with a lively project 7 and an empty project 8, and a browser of the admin."""

    folder: Path
    store: Store
    browser: FlaskClient

    def json(self, page: str) -> Any:
        return self.browser.get(f"/projects/7{page}", headers=pages.JSON).get_json()

    def text(self, path: str) -> str:
        return pages.words(self.browser.get(path, headers=pages.HTML).text)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("one-answer")
    store = stores.fresh(folder / "hitl.sqlite3", clock=pages.Clock())
    chosen = pages.tiers(ann="admin").model_dump(mode="json")
    policy = Policy.model_validate({**chosen, "overlap": {"share": 1.0, "measure": "ac1"}})
    pages.create_project(store, "7", policy, title="mail")
    pages.create_project(store, "8", title="empty")
    pages.add_answers(store, "7", tasks=120, labels=("spam", "ham", "ham"))
    pages.add_model_history(store, "7", [0.8, 0.85, 0.83])
    artefact = Artefact(b"m", digest_of(b"m"))
    store.registry.add("7", SERVING, artefact, {})
    store.registry.promote("7", SERVING)
    pages.review(store, "7", policy)
    store.overrides.save_overrides(
        [
            replace(row, model=SERVING, annotation=1000 + row.annotation)
            for row in store.overrides.list_overrides("7")[1::2]
        ]
    )
    row = store.projects.get_project("7")
    assert row is not None
    snapshot = load_counted_snapshot(store, row, row.policy)
    record_agreement(store, snapshot, now_s=NOW_S)
    record_annotators(store, snapshot, now_s=NOW_S)
    yield Service(folder, store, pages.signed_in(store, 2))
    store.close()


@pytest.fixture(autouse=True)
def _commands_find_the_store(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HITL_DATA_DIR", str(service.folder))
    monkeypatch.setenv("COLUMNS", "400")


def test_a_persons_accuracy_is_one_figure_on_one_sample(service: Service):
    people = {row["person"]: row for row in json.loads(hitl("people", 7, "--json"))}
    agree = {row["worker"]: row for row in json.loads(hitl("agree", 7, "--json"))["annotators"]}
    page = {row["person"]: row for row in service.json("/people?names=shown")["people"]}
    shown = {
        row["person"]: f"{format_share(*(row['accuracy'][name] for name in ('value', 'low', 'high')))} of "
        f"{row['compared']} shared tasks"
        for row in people.values()
        if row["accuracy"]
    }

    assert len(shown) == 4
    assert {person: row["accuracy"] for person, row in page.items()} == {
        person: row["accuracy"] for person, row in people.items()
    }
    for person, row in agree.items():
        assert row["accuracy"] == pytest.approx(people[person]["accuracy"]["value"], abs=1e-4)
        assert row["compared"] == people[person]["accuracy"]["n"]
    for text in (hitl("people", 7), hitl("agree", 7), service.text("/projects/7/people")):
        assert [figure for figure in shown.values() if figure not in text] == []


def test_the_measure_of_the_policy_is_the_headline_everywhere(service: Service):
    status = json.loads(hitl("status", 7, "--json"))["projects"][0]["agreement"]
    headline = json.loads(hitl("agree", 7, "--json"))["headline"]
    page = service.json("")["agreement"]
    begins = f"ac1 {format_estimate(page['value'], page['low'], page['high'])} on {page['n']} items"

    assert page == status
    assert (page["measure"], page["sample"], page["at_s"]) == ("ac1", "tasks drawn at random for several people", NOW_S)
    assert (headline["measure"], headline["value"], headline["items"]) == ("ac1", page["value"], page["n"])
    metrics = Metrics(lambda: service_gauges(service.store)).render().decode()
    assert f'hitl_agreement{{project="7"}} {page["value"]}' in metrics
    assert hitl("agree", 7).startswith(begins)
    for text in (hitl("status", 7), service.text("/projects/7")):
        assert begins in text
        assert f"of the {page['n']} tasks drawn at random for several people, as of 2026-01-10 00:00 UTC" in text
    assert f"Agreement {format_coefficient(page['value'])} ac1" in service.text("/projects/7")


def test_the_accuracy_of_a_model_is_one_figure_and_overrides_are_told_by_model(service: Service):
    status = json.loads(hitl("status", 7, "--json"))["projects"][0]["audit_accuracy"]
    page = service.json("")["audit_accuracy"]
    overrides = {row["model"]: row for row in service.json("/overrides")["models"]}
    text = figure_text(status)

    assert page == status == overrides[SERVING]["accuracy"]
    assert service_gauges(service.store)["hitl_model_accuracy"] == {"7": status["value"]}
    assert (overrides["m2"]["changed"]["n"], overrides[SERVING]["changed"]["n"]) == (20, 20)
    assert overrides["m2"]["changed"]["sample"] == "answers to predictions that people saw"
    for shown in (
        hitl("status", 7),
        hitl("overrides", 7),
        service.text("/projects/7/overrides").replace(") ", ") of "),
    ):
        assert text in shown
    assert "is not how often a model is wrong" in hitl("overrides", 7)


def test_reviewers_are_upheld_and_have_no_second_accuracy(service: Service):
    figures = json.loads(hitl("cases", 7, "--figures", "--json"))

    assert figures["people"]
    assert all("upheld" in row and "accuracy" not in row for row in figures["people"])
    assert "accuracy" not in hitl("cases", 7, "--figures").replace("It is no accuracy", "")


def test_commands_call_people_by_their_names_and_pseudonyms_hide_them(
    service: Service, monkeypatch: pytest.MonkeyPatch
):
    for command in ("people", "agree", "cases", "history", "why", "status"):
        monkeypatch.setattr(f"feedback.cli.{command}.list_names", lambda _settings, _store: {3: "Ben Okri"})
    named = ("people 7", "agree 7", "cases 7 --figures", "case 1", "history 7 5", "why 7 1", "status 7")

    assert [words for words in named if "Ben Okri" not in hitl(*words.split())] == []
    assert [words for words in named if "person 3" in hitl(*words.split())] == []
    for words in ("people 7", "agree 7", "people 7 --json"):
        assert not {"Ben Okri", "person 3"} & set(
            re.findall(r"Ben Okri|person 3", hitl(*words.split(), "--pseudonyms"))
        )
    assert {row["person"]: row["name"] for row in json.loads(hitl("people", 7, "--json"))}[3] == "Ben Okri"
    assert "Ben Okri" not in service.text("/projects/7/people")
    assert "Name of 3" in service.text("/projects/7/people?names=shown")


@pytest.mark.parametrize("project", [7, 8], ids=["lively", "empty"])
def test_no_page_and_no_command_shows_a_number_that_is_none(service: Service, project: int):
    pages_of_project = ("", "/people", "/cases", "/overrides", "/thresholds", "/cases/1")
    found = {f"page {path}": service.text(f"/projects/{project}{path}") for path in pages_of_project}
    commands = (
        "status", "people {}", "people {} --pseudonyms", "agree {}", "cases {}",
        "cases {} --figures --segments --forecast", "overrides {}", "gold list {}", "case 1", "why {} 1",
        "history {} 1", "policy explain {}", "policy thresholds {}", "policy history {}", "signal list {}",
    )  # fmt: skip
    for command in commands:
        done = CliRunner().invoke(app, command.format(project).split())
        found[command] = done.output or str(done.exception)
        assert done.exit_code < 2 or "usage" not in done.output.lower(), command
        assert done.exception is None or isinstance(done.exception, (SystemExit, FeedbackError)), command

    wrong = {name: hit[0] for name, text in found.items() if (hit := NO_FIGURE.search(text))}
    assert wrong == {}
    assert all(found.values())
