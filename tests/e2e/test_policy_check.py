"""`hitl policy check` and `hitl doctor` beside a real Label Studio: before a project is connected, and after."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from feedback.app.bootstrap import load_settings, opened_store
from feedback.cli import app
from feedback.errors import UnknownProject
from feedback.policy import read_policy
from feedback.store import ProjectRow, UncountedAnswer
from feedback.store.log.events import events_from_task
from ml_backend.records import Annotation, Task
from tests.support.label_studio import Project, Site, choice_result

pytestmark = pytest.mark.e2e

POLICY = """
[[routing]]
id = "one"
when = { model.label = "goood", data.txet.exists = true }
to = "L1"
[[routing]]
id = "rest"
to = "L1"
[tiers.L1]
[tiers.L2]
"""


@pytest.fixture(autouse=True)
def file(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in (
        ("HITL_DATA_DIR", str(tmp_path)),
        ("LABEL_STUDIO_URL", site.url),
        ("LABEL_STUDIO_API_KEY", site.process.admin.token),
    ):
        monkeypatch.setenv(name, value)
    (tmp_path / "new.toml").write_text(POLICY)
    return tmp_path / "new.toml"


def hitl(*args: object) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False)


def test_labels_and_task_fields_are_checked_before_a_project_is_connected(project: Project, file: Path) -> None:
    done = hitl("policy", "check", project.id, file)

    assert done.exit_code == 0
    assert "the project has no label 'goood'; did you mean 'good'?" in done.output
    assert "no task has data.txet; did you mean data.text?" in done.output
    assert "line 2, column 3: routing.one: the project has no label" in done.output
    assert "not checked" not in done.output
    file.write_text(f'{POLICY}[feedback.sentiment]\noptions = ["a", "b"]\n')
    assert "the control sentiment of the label config asks it" in hitl("policy", "explain", project.id, file).output
    with pytest.raises(UnknownProject, match="project '999999' is not known; projects in Label Studio: "):
        hitl("policy", "check", 999999, file)


def test_a_project_that_is_not_connected_is_found_by_its_title(project: Project, site: Site, file: Path) -> None:
    title = f"Reviews no. {project.id}, by hand"
    project.admin.patch_project(project.id, title=title)
    checked, dry = hitl("policy", "check", title.upper(), file), hitl("connect", f" {title}", "--dry-run", "--json")
    found = json.loads(dry.stdout)

    assert checked.output == hitl("policy", "check", project.id, file).output
    assert "the project has no label 'goood'" in checked.output
    assert (found["project"], found["dry_run"]) == (project.id, True)
    assert found["annotate_at"] == f"{site.url}/projects/{project.id}/data"
    with pytest.raises(UnknownProject, match="projects in Label Studio: ") as refused:
        hitl("connect", title.replace("hand", "hnad"))
    assert f"Did you mean {project.id} '{title}'?" in refused.value.hint


def test_the_doctor_names_answers_that_do_not_count(project: Project, file: Path) -> None:
    task = Task(project.tasks[0], {"text": "t"}, project.id, created_at="2026-01-01", updated_at="2026-01-01")
    answer = Annotation(7, task.id, project.id, 999, tuple(choice_result("good")), updated_at="2026-01-02")
    with opened_store(load_settings()) as store:
        store.projects.save_project(ProjectRow(project.id, "t", project.body()["label_config"]))
        store.append(events_from_task(task, [answer], source="poll", seen_s=1.0))
        excluded = UncountedAnswer(7, task.id, 999, "is not among the people of L1")
        store.uncounted.replace_excluded(project.id, [excluded], removed=())
    done = hitl("doctor", project.id)

    assert "answers do not count" in done.output
    assert "1 answer of person 999: is not among the people of L1." in done.output
    assert read_policy(POLICY).first_tier == "L1"


@pytest.mark.parametrize("connected", [False, True])
def test_an_approver_without_the_owner_of_the_token_is_told(project: Project, file: Path, connected: bool) -> None:
    if connected:
        with opened_store(load_settings()) as store:
            store.projects.save_project(ProjectRow(project.id, "t", project.body()["label_config"]))
    file.write_text('[people."else@example.com"]\nrole = "approver"\n')
    done = hitl("policy", "check", project.id, file)

    assert done.exit_code == 0
    assert "people: it lists an admin or approver and not " in done.output
    assert "The access token of the service is theirs" in done.output
