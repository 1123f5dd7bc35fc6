"""The doctor on a real Label Studio: each trap that can be provoked is found by name, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from ml_backend.labelstudio.client import Client
from ml_backend.labelstudio.doctor import shadowed_packages
from ml_backend.labelstudio.projects import connect
from ml_backend.labelstudio.queue_writer import QueueRow, write_queue_window
from tests.support.label_studio import Project, Site, StubBackend, run_checks

pytestmark = pytest.mark.e2e

SLOW = "slow bulk writes"  # the Label Studio of the tests runs with its default


@pytest.fixture
def names(project: Project, backend: StubBackend) -> Callable[..., list[str]]:
    """Connect a project and name what the doctor finds in it, whenever asked."""
    connect(project.admin, project.id, backend_url=backend.url, webhook_secret="secret")
    rows = [QueueRow(task, place) for place, task in enumerate(project.tasks)]
    write_queue_window(project.admin, project.id, rows, version="m1+q1")

    def found(**options: Any) -> list[str]:
        findings = run_checks(project.admin, project.id, **{"backend_url": backend.url, **options})
        assert all(finding.what and finding.fix for finding in findings)
        return [finding.name for finding in findings if finding.name != SLOW]

    return found


def test_a_connected_project_is_healthy_and_examining_changes_nothing(
    project: Project, names: Callable[..., list[str]]
) -> None:
    before = project.everything()

    assert names() == []
    assert project.everything() == before


@pytest.mark.parametrize(
    ("setting", "trap"),
    [
        ({"model_version": "hitl"}, "model_version is a backend's title"),
        ({"maximum_annotations": 2}, "maximum_annotations above 1"),
        ({"show_collab_predictions": False}, "show_collab_predictions is off"),
        ({"evaluate_predictions_automatically": True}, "evaluate_predictions_automatically is on"),
        ({"min_annotations_to_start_training": 3}, "min_annotations_to_start_training above 0"),
        ({"sampling": "Sequential sampling"}, "sampling"),
        ({"show_overlap_first": True}, "show_overlap_first"),
    ],
)
def test_each_setting_that_breaks_the_loop_is_named(
    project: Project, names: Callable[..., list[str]], setting: dict[str, Any], trap: str
) -> None:
    project.admin.patch_project(project.id, **setting)

    assert names() == [trap]


def test_several_backends_and_what_they_leave_behind_are_named(
    project: Project, names: Callable[..., list[str]]
) -> None:
    with StubBackend() as other:
        made = project.admin.create_backend(project.id, url=other.url, title="other")
        several = names()
        project.admin.delete_backend(made["id"])

    assert several == ["several ML backends"]
    assert names() == ["leftover webhook"]


def test_a_webhook_that_is_emptied_or_stripped_or_gone_is_named(
    project: Project, names: Callable[..., list[str]]
) -> None:
    (hook,) = project.admin.webhooks(project.id)
    project.admin.patch_webhook(hook["id"], url=hook["url"], actions=[], send_for_all_actions=False)
    emptied = names()
    project.admin.patch_webhook(
        hook["id"], url=hook["url"], headers={}, is_active=False, actions=["ANNOTATION_CREATED"]
    )
    stripped = names()
    project.admin.delete_webhook(hook["id"])

    assert emptied == ["emptied webhook"]
    assert stripped == ["webhook switched off", "webhook without secret"]
    assert names() == ["webhook missing"]


def test_a_backend_that_is_away_or_missing_is_named(
    project: Project, backend: StubBackend, names: Callable[..., list[str]]
) -> None:
    (row,) = project.admin.backends(project.id)
    backend.__exit__()
    unreachable = names()
    project.admin.delete_backend(row["id"])

    assert unreachable == ["ML backend not reached"]
    assert "ML backend missing" in names()


def test_both_guards_against_ssrf_are_named(names: Callable[..., list[str]]) -> None:
    found = names(backend_url="http://10.1.2.3:9090", connected=False)

    assert "SSRF guard blocks webhooks" in found
    assert "SSRF guard blocks ML backends" in found


def test_a_host_without_a_dot_and_missed_webhooks_are_named(names: Callable[..., list[str]]) -> None:
    assert "webhook host without a dot" in names(backend_url="http://hitl:9090", connected=False)
    assert names(missed=3) == ["missed webhooks"]


def test_slow_bulk_writes_are_named_with_the_flag_that_ends_them(site: Site, project: Project) -> None:
    (slow,) = run_checks(site.admin, project.id, connected=False)

    assert slow.name == SLOW
    assert "fflag_fix_back_4620_memory_efficient_predictions_import_08012025_short=true" in slow.fix


def test_a_dead_token_is_named_and_a_legacy_one_that_label_studio_accepts_is_fine(site: Site) -> None:
    key = "0123456789abcdef0123456789abcdef01234567"
    session = httpx.Client(base_url=site.url)
    session.get("/user/login/")
    form = {"email": site.process.email, "password": site.process.password, "persist_session": "on"}
    csrf = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post("/user/login/", data={**form, **csrf}, headers={"Referer": f"{site.url}/user/login/"})
    with Client(site.url, key) as dead:
        (refused,) = run_checks(dead)
    switch = {"api_tokens_enabled": True, "api_token_ttl_days": 73000}
    site.admin.send("POST", "api/jwt/settings", body={**switch, "legacy_api_tokens_enabled": True})
    try:
        with Client(site.url, session.get("/api/current-user/token").json()["token"]) as legacy:
            accepted = run_checks(legacy)
    finally:
        site.admin.send("POST", "api/jwt/settings", body={**switch, "legacy_api_tokens_enabled": False})
        session.close()

    assert (refused.name, refused.severity) == ("dead token", "error")
    assert key not in refused.what
    assert accepted == []


def test_a_release_that_was_not_tested_is_named(site: Site) -> None:
    class Newer(Client):
        def version(self) -> str:
            return "2.0.0"

    with Newer(site.url, site.process.admin.token) as client:
        (found,) = run_checks(client)

    assert found.name == "untested Label Studio version"
    assert "2.0.0" in found.what


def test_a_label_studio_that_is_away_is_named() -> None:
    with Client("http://127.0.0.1:9", "0123456789abcdef", tries=1) as client:
        (found,) = run_checks(client)

    assert found.name == "Label Studio not reached"
    assert "LABEL_STUDIO_URL" in found.fix


def test_other_packages_of_our_names_are_named(tmp_path: Any) -> None:
    (tmp_path / "sampling.py").touch()
    installed = [("feedback", ["feedback", "label-studio-hitl"]), ("numpy", ["numpy"])]

    found = [*shadowed_packages(lambda: installed, lambda: [str(tmp_path)])]

    assert [finding.name for finding in found] == ["shadowed package"] * 2
    assert "also installed by feedback" in found[0].what
    assert str(tmp_path / "sampling.py") in found[1].what
