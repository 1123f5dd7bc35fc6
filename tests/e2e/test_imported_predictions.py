"""Pre-annotations that a team imported itself, on a real Label Studio: they stay visible, in our order."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.policy import read_policy
from feedback.project.connect import connect, disconnect
from feedback.store import Store, WindowRow
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer
from tests.support import stores
from tests.support.connected import loop_of, settings_of
from tests.support.label_studio import Site, StubBackend, delete_project

pytestmark = pytest.mark.e2e

SPANS = (
    '<View><Labels name="label" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>'
    '<Text name="text" value="$text"/>'
    '<Choices name="topic" toName="text"><Choice value="news"/><Choice value="sport"/></Choices></View>'
)
BOXES = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="box" toName="image">'
    '<Label value="Car"/></RectangleLabels></View>'
)
POLICY = """
[queue]
window = {window}
head = 3
[overlap]
share = 0.0
[audit]
share = {audit}
[train]
min_rows = 500
[model]
control = "{control}"
"""


def span(label: str = "PER", start: int = 0) -> dict[str, Any]:
    value = {"start": start, "end": start + 3, "text": "Ann", "labels": [label]}
    return {"id": f"r{start}", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


def topic(name: str) -> dict[str, Any]:
    return {
        "id": "t",
        "from_name": "topic",
        "to_name": "text",
        "type": "choices",
        "value": {"choices": [name]},
    }


def box() -> dict[str, Any]:
    value = {"x": 10, "y": 10, "width": 20, "height": 20, "rotation": 0, "rectanglelabels": ["Car"]}
    sizes = {"original_width": 100, "original_height": 100, "image_rotation": 0}
    return {
        "id": "b", "from_name": "box", "to_name": "image", "type": "rectanglelabels", "value": value, **sizes
    }  # fmt: skip


class Team:
    """A team's project with predictions of its own, the loop around it, and what people are served."""

    def __init__(self, site: Site, backend: StubBackend, store: Store, folder: Path, project: str) -> None:
        self.site, self.store, self.project = site, store, project
        self.settings = settings_of(site, backend)
        self.platform = LabelStudioAdapter(site.admin, store)
        self.loop = loop_of(store, folder, platform=self.platform)

    def import_tasks(self, *predictions: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[int]:
        """Import one task each, with inline predictions by model version."""
        bodies = []
        for number, by_version in enumerate(predictions):
            rows = [{"model_version": name, "score": 0.5, "result": list(found)} for name, found in by_version.items()]
            data = {"text": f"Ann {number} met Bob", "image": f"http://127.0.0.1:9/{number}.png"}
            bodies.append({"data": data, "predictions": rows})
        return self.site.admin.import_tasks(self.project, bodies)

    def connect(self, *, window: int = 20, audit: float = 0.0, control: str = "label", dry: bool = False) -> list[str]:
        policy = read_policy(POLICY.format(window=window, audit=audit, control=control))
        now_s = time.time()
        return connect(
            self.settings, self.store, self.site.admin, self.project, policy=policy, dry_run=dry, now_s=now_s
        )

    def disconnect(self) -> None:
        disconnect(self.store, self.site.admin, self.project)

    def turn(self) -> None:
        self.loop.turn(self.project)

    def serve(self, n: int = 99, *, person: int = 0) -> dict[int, list[dict[str, Any]]]:
        """Submit what is shown, task by task; the regions by task in the order of serving."""
        found: dict[int, list[dict[str, Any]]] = {}
        client = self.site.people[person]
        while len(found) < n and (task := client.next_task(self.project)) is not None:
            shown = [region for row in task["predictions"] for region in row["result"]]
            rows = [row["id"] for row in task["predictions"]]
            found[task["id"]] = shown
            client.submit(task["id"], shown or [topic("news")], parent_prediction=rows[0] if rows else None)
        return found


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(stores.fresh(tmp_path / "hitl.sqlite3")) as made:
        yield made


@contextmanager
def team_of(site: Site, backend: StubBackend, store: Store, folder: Path, config: str) -> Iterator[Team]:
    project = str(site.admin.create_project(title="a team's", label_config=config)["id"])
    try:
        yield Team(site, backend, store, folder, project)
    finally:
        delete_project(site.admin, project)


@pytest.fixture
def team(site: Site, backend: StubBackend, store: Store, tmp_path: Path) -> Iterator[Team]:
    with team_of(site, backend, store, tmp_path / "models", SPANS) as made:
        yield made


def values(regions: Sequence[Mapping[str, Any]]) -> list[Any]:
    return sorted(str(region["value"]) for region in regions)


def test_regions_of_the_version_that_people_saw_stay_visible_in_our_order(team: Team) -> None:
    tasks = team.import_tasks(
        *[{"extractor-v0": [span("ORG", 4)], "extractor-v1": [span(), span("ORG", 8), topic("sport")]}] * 6, {}, {}
    )
    assert team.site.admin.project(team.project)["model_version"] == "extractor-v1"
    said = team.connect()
    team.turn()
    wanted = [row.task for row in team.store.windows.get_window(team.project)]
    served = team.serve()

    assert (
        "6 tasks have predictions of extractor-v1: they stay visible until a model of ours serves the control" in said
    )
    assert any(line.startswith("6 tasks have predictions of extractor-v0: they are visible where") for line in said)
    assert list(served) == wanted != sorted(wanted)
    for task in tasks[:6]:
        assert values(served[task]) == values([span(), span("ORG", 8), topic("sport")])
    assert [served[task] for task in tasks[6:]] == [[], []]
    assert team.site.admin.project(team.project)["model_version"] == "hitl-0+q1"


def test_what_was_shown_is_recorded_as_the_teams_and_is_no_override_of_our_model(team: Team) -> None:
    tasks = team.import_tasks(*[{"extractor-v1": [span()]}] * 3, {})
    team.connect()
    team.turn()
    served = team.serve(2)
    team.turn()

    rows = {row.task: row for row in team.store.windows.get_window(team.project)}
    assert {rows[task].imported for task in tasks[:3]} == {"extractor-v1"}
    assert not any(rows[task].is_answer_ours for task in tasks[:3])
    assert all(rows[task].answer is not None and rows[task].answer.kind == "labels" for task in tasks[:3])
    assert (rows[tasks[3]].imported, rows[tasks[3]].is_answer_ours) == ("", True)
    assert len(served) == 2
    assert len(team.store.votes.list_votes(team.project)) >= 1
    assert team.store.overrides.list_overrides(team.project) == []


def test_audit_tasks_show_nothing_whatever_was_imported(team: Team) -> None:
    team.import_tasks(*[{"extractor-v1": [span()]}] * 24)
    team.connect(audit=0.4, window=30)
    team.turn()
    rows = team.store.windows.get_window(team.project)
    served = team.serve()

    blind = {row.task for row in rows if row.blind}
    assert 0 < len(blind) < 24
    assert {task for task, shown in served.items() if not shown} == blind


def test_our_model_replaces_the_imported_regions_of_its_control_only(team: Team) -> None:
    first, second = team.import_tasks({"extractor-v1": [span(), topic("sport")]}, {"extractor-v1": [span("ORG")]})
    team.connect(control="topic")
    answer = Answer("choices", ("news",))
    rows = [
        WindowRow(task, "m1+q1", place, answer, 0.9, blind=False, prediction=None, written_s=0.0)
        for place, task in enumerate((second, first))
    ]
    control = read_label_config(SPANS).control("topic")
    written = team.platform.write_queue(team.project, rows, control, head=1, stop=lambda: False)
    served = team.serve()

    assert (written.rows, written.complete, dict(written.problems)) == (2, True, {})
    assert list(served) == [second, first]
    news = {"value": {"choices": ["news"]}}
    assert values(served[second]) == values([span("ORG"), news])
    assert values(served[first]) == values([span(), news])
    kept = team.store.windows.get_window(team.project)
    assert [(row.answer, row.imported, row.is_answer_ours) for row in kept] == [(answer, "extractor-v1", True)] * 2


def test_tasks_beyond_the_window_keep_their_regions_because_it_grows(team: Team) -> None:
    tasks = team.import_tasks(*[{"extractor-v1": [span()]}] * 12)
    team.connect(window=4)
    for _ in range(4):  # before anybody answers
        team.turn()
    served = team.serve()

    assert set(served) == set(tasks)
    assert all(values(shown) == values([span()]) for shown in served.values())


@pytest.mark.parametrize("shows", [True, False])
def test_disconnecting_shows_again_what_people_saw_before(team: Team, *, shows: bool) -> None:
    team.import_tasks(*[{"extractor-v0": [span("ORG")], "extractor-v1": [span()]}] * 4)
    fields = {"model_version": "extractor-v0"} if shows else {"show_collab_predictions": False}
    team.site.admin.patch_project(team.project, **fields)
    before = team.site.people[0].next_task(team.project)
    said = team.connect()
    team.turn()
    during = team.serve(2)
    team.disconnect()
    after = team.serve(1, person=1)

    wanted = [values([span("ORG")] if shows else [])]
    assert before is not None
    assert [values([region for row in before["predictions"] for region in row["result"]])] == wanted
    assert [values(shown) for shown in during.values()] == wanted * 2
    assert [values(shown) for shown in after.values()] == wanted
    assert shows != any("stay hidden" in line for line in said)
    assert team.site.admin.project(team.project)["model_version"] == ("extractor-v0" if shows else "")


def test_predictions_of_a_bulk_import_that_the_project_never_showed_become_visible(
    site: Site, backend: StubBackend, store: Store, tmp_path: Path
) -> None:
    with team_of(site, backend, store, tmp_path / "models", BOXES) as team:
        tasks = team.import_tasks({}, {}, {})
        odd = {**box(), "value": {**box()["value"], "rectanglelabels": ["Truck"]}}  # Label Studio's bulk write drops it
        for version, region in (("detector-v1", box()), ("detector-v2", odd)):
            for task in tasks[:2]:
                site.admin.create_prediction(task, result=[region], score=0.3, model_version=version)
        team.connect(control="box")
        team.turn()
        served = team.serve()

        assert [values(served[task]) for task in tasks] == [values([odd]), values([odd]), []]
