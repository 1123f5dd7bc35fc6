"""Answers that are no votes, on a real Label Studio: imported ones, and those outside what is learned, are told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from feedback.app.bootstrap import load_settings, opened_store
from feedback.cli import app
from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.loop.turn import Loop
from feedback.store import Store
from tests.support.connected import loop_of
from tests.support.label_studio import Project, Site, StubBackend, choice_result, patch_annotation

pytestmark = pytest.mark.e2e

POLICY = '[audit]\nshare = 0.3\n[overlap]\nshare = 0.0\n[imports]\nuse = "{use}"\nask = "{ask}"\n'


@pytest.fixture(autouse=True)
def folder(site: Site, backend: StubBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (
        ("HITL_DATA_DIR", str(tmp_path)),
        ("HITL_PUBLIC_URL", backend.url),
        ("LABEL_STUDIO_URL", site.url),
        ("LABEL_STUDIO_API_KEY", site.process.admin.token),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def empty(site: Site) -> Iterator[Project]:
    with site.project(0) as made:
        yield made


def hitl(*args: object) -> str:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False).output


def label_of(number: int) -> str:
    return "good" if number % 2 else "bad"


def text_of(number: int) -> str:
    return f"{'splendid friendly room' if number % 2 else 'dirty broken shower'} {number}"


def task_with(number: int, **annotation: Any) -> dict[str, Any]:
    annotations = [{"result": choice_result(label_of(number)), **annotation}]
    return {"data": {"text": text_of(number)}, "annotations": annotations}


def loop_around(store: Store, site: Site, folder: Path) -> Loop:
    return loop_of(store, folder / "models", platform=LabelStudioAdapter(site.admin, store))


def status_of(project: Project) -> dict[str, Any]:
    (found,) = json.loads(hitl("status", project.id, "--json"))["projects"]
    return dict(found)


def test_answers_that_came_with_tasks_are_told_and_teach_but_measure_nothing(
    site: Site, empty: Project, folder: Path
) -> None:
    ann = site.accounts[0]
    shapes: list[dict[str, Any]] = [
        {},
        {"id": 5},  # as Label Studio exports it
        {"completed_by": {"email": ann.email}, "lead_time": 4.5, "id": 6},
        {"completed_by": ann.id, "ground_truth": False, "lead_time": 4.5},
    ]
    came = site.admin.import_tasks(empty.id, [task_with(number, **shapes[number % 4]) for number in range(60)])
    site.admin.import_tasks(empty.id, [{"data": {"text": text_of(number)}} for number in range(60, 100)])
    (folder / "hitl.toml").write_text(POLICY.format(use="train", ask="none"), encoding="utf-8")

    dry = hitl("connect", empty.id, "--dry-run")
    assert "60 tasks came with answers, which are never votes" in dry
    assert 'their use is "train"; [imports] in hitl.toml can say "train", "gold" or "ignore"' in dry
    said = hitl("connect", empty.id)
    found = re.search(
        r"60 tasks came with answers, which are never votes\. Training rows: (\d+); audit.*: (\d+)\.", said
    )
    assert found is not None, said
    assert int(found[1]) + int(found[2]) == 60
    with opened_store(load_settings()) as store:
        loop = loop_around(store, site, folder)
        turn = loop.turn(empty.id)
        assert (turn.imports["train"], turn.imports["audit"]) == (int(found[1]), int(found[2]))
        assert "audit tasks answered by people, which measure a model of imported answers" in turn.waits
        for task in came[:4]:  # as the editor saves the answer of somebody else
            (annotation,) = site.admin.send("GET", f"api/tasks/{task}/annotations/")
            patch_annotation(site.people[1], annotation["id"], result=choice_result("good"), lead_time=5.0)
        loop.turn(empty.id)
        assert store.votes.list_votes(empty.id) == []
        while turn.verdict == "":
            task = site.people[1].next_task(empty.id)
            assert task is not None, turn.waits
            assert not task["annotations"]  # nobody is asked what came answered
            number = int(str(task["data"]["text"]).rpartition(" ")[2])
            site.people[1].submit(task["id"], choice_result(label_of(number)), lead_time=2.0)
            if number % 3 == 0:
                turn = loop.turn(empty.id)
        assert turn.verdict.startswith("promoted")
        status = status_of(empty)
        assert status["model"]["imported"] == int(found[1])
        assert {vote.person for vote in store.votes.list_votes(empty.id)} == {site.accounts[1].id}
        assert status["people"] == 1


def test_predictions_made_annotations_and_drafts_are_counted_apart(site: Site, empty: Project, folder: Path) -> None:
    tasks = site.admin.import_tasks(empty.id, [{"data": {"text": text_of(number)}} for number in range(6)])
    for task in tasks[:3]:
        site.admin.create_prediction(task, result=choice_result("good"), score=0.5, model_version="v1")
    site.admin.send(
        "POST",
        "api/dm/actions/",
        query={"id": "predictions_to_annotations", "project": empty.id},
        body={"selectedItems": {"all": True, "excluded": []}},
    )
    site.people[0].send("POST", f"api/tasks/{tasks[4]}/drafts", body={"result": choice_result("good")})
    (folder / "hitl.toml").write_text(POLICY.format(use="train", ask="none"), encoding="utf-8")
    said = hitl("connect", empty.id)
    with opened_store(load_settings()) as store:
        turn = loop_around(store, site, folder).turn(empty.id)

    assert "Tasks with predictions that somebody made annotations, which no model learns: 3" in said
    assert turn.imports == {}
    assert (status_of(empty)["drafts"], status_of(empty)["imported"]["copied"]) == (1, 3)


@pytest.mark.parametrize(("use", "ask"), [("train", "audit"), ("gold", "none")])
def test_a_project_that_came_answered_is_asked_where_the_policy_says_so(
    site: Site, empty: Project, folder: Path, use: str, ask: str
) -> None:
    site.admin.import_tasks(empty.id, [task_with(number) for number in range(30)])
    (folder / "hitl.toml").write_text(POLICY.format(use=use, ask=ask), encoding="utf-8")
    said = hitl("connect", empty.id)
    assert site.people[0].next_task(empty.id) is None
    with opened_store(load_settings()) as store:
        loop = loop_around(store, site, folder)
        turn = loop.turn(empty.id)
        loop.turn(empty.id)
        asked = set[int]()
        while (task := site.people[0].next_task(empty.id)) is not None:
            assert not any(row["result"] for row in task["predictions"])
            site.people[0].submit(task["id"], choice_result("good"), lead_time=2.0)
            asked.add(task["id"])
        turn = loop.turn(empty.id)

    assert len(asked) == (30 if use == "gold" else turn.imports["answered"])
    assert len(asked) > 0
    if use == "gold":
        assert "Everybody is asked up to 100 of the gold tasks" in said
        assert sum(row["right"] for row in json.loads(hitl("gold", "list", empty.id, "--json"))) == 15
    else:
        assert "People are asked the audit tasks among them" in said


REPEATER = (
    '<View><Repeater on="$pages" indexFlag="{{idx}}"><Text name="p_{{idx}}" value="$pages[{{idx}}].text"/>'
    '<Choices name="c_{{idx}}" toName="p_{{idx}}"><Choice value="good"/><Choice value="bad"/></Choices>'
    "</Repeater></View>"
)
SEVERAL = (
    '<View><Text name="text" value="$text"/><Choices name="sentiment" toName="text" choice="multiple">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


@pytest.mark.parametrize(
    ("config", "region", "why"),
    [
        (REPEATER, {"from_name": "c_0", "to_name": "p_0", "value": {"choices": ["good"]}}, "it stands in a Repeater"),
        (
            SEVERAL,
            {"from_name": "sentiment", "to_name": "text", "value": {"choices": ["good", "bad"]}},
            "several labels",
        ),
    ],
)
def test_many_answers_that_give_no_row_are_told_with_the_reason(
    site: Site, folder: Path, config: str, region: dict[str, Any], why: str
) -> None:
    with site.project(0) as project:
        data = [{"data": {"text": text_of(number), "pages": [{"text": "one"}]}} for number in range(12)]
        tasks = site.admin.import_tasks(project.id, data)
        hitl("connect", project.id)
        site.admin.patch_project(project.id, label_config=config)  # afterwards: connect refuses what it sees
        for task in tasks:
            site.people[0].submit(task, [{"type": "choices", **region}], lead_time=2.0)
        with opened_store(load_settings()) as store:
            loop_around(store, site, folder).turn(project.id)
        told = hitl("status", project.id)

        assert "12 answers lie outside what control" in told
        assert why in told
        assert "12 answers lie outside what control" in hitl("doctor", project.id)
