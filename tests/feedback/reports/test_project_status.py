"""Figures of the pages: history with intervals, people on drawn tasks, charts; also fast on large projects."""

from __future__ import annotations

import re
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from typing import Any

import pytest

from feedback.policy import Policy
from feedback.reports.annotator_report import annotator_counts, people_page
from feedback.reports.project_status import (
    accuracy_over_time,
    project_overview,
    project_status,
    service_gauges,
    verdict_json,
)
from feedback.reports.status_text import status_lines
from feedback.reports.svg_charts import Point, interval_bar, over_time
from feedback.stats.intervals import wilson
from feedback.store import AnnotatorCounts, ProjectRow, Record, Store, open_store
from feedback.store.tables.main_tables import WindowRow
from ml_backend.registry import Artefact, digest_of
from tests.support import make_events, pages, stores


def verdict(number: int, *, promote: bool, accuracy: float | None, champion: float | None, rows: int = 100) -> Record:
    body = {"promote": promote, "accuracy": accuracy, "champion_accuracy": champion, "rows": rows}
    names = {"challenger": f"m{number}", "champion": f"m{number - 1}", "at_s": float(number)}
    return Record(number, "7", "verdict", "", body | names, float(number))


def test_what_serves_is_the_challenger_once_promoted_and_the_champion_where_it_was_kept():
    newest_first = [
        verdict(4, promote=False, accuracy=0.5, champion=0.9, rows=200),
        verdict(3, promote=True, accuracy=0.85, champion=0.8),
        verdict(2, promote=False, accuracy=None, champion=None, rows=0),
        verdict(1, promote=True, accuracy=0.8, champion=None),
    ]

    points = accuracy_over_time([verdict_json(record) for record in newest_first])

    assert [(entry["version"], entry["value"], entry["n"]) for entry in points] == [
        ("m1", 0.8, 100),
        ("m3", 0.85, 100),
        ("m3", 0.9, 200),
    ]
    interval = wilson(180, 200)
    assert (points[-1]["low"], points[-1]["high"]) == (round(interval.low, 4), round(interval.high, 4))


def test_an_old_verdict_that_lacks_fields_is_still_shown():
    found = [verdict_json(Record(1, "7", "verdict", "", {"promote": True, "reason": "first"}, 0.0))]

    assert found[0]["reason"] == "first"
    assert accuracy_over_time(found) == []


def recorded(person: int, low: float, high: float) -> dict[str, Any]:
    return {"person": person, "accuracy": {"value": None, "low": low, "high": high}, "compared": 60, "time_share": {}}


def test_who_surely_needs_help_comes_first_and_bots_are_no_people():
    people = [AnnotatorCounts(number, 60, 0, "2026-01-01", "2026-01-02") for number in (1, 2, 3, 4, 99)]
    figures = {
        1: recorded(1, 0.9, 0.99),
        2: recorded(2, 0.9, 1.0),
        3: recorded(3, 0.5, 0.8),
        99: recorded(99, 0.1, 0.2),
    }

    rows = annotator_counts(people, figures, bots=(99,))

    assert [row["person"] for row in rows] == [3, 1, 2, 4]
    assert rows[0]["accuracy"] == {"value": None, "low": 0.5, "high": 0.8}
    assert rows[-1]["accuracy"] is rows[-1]["work"] is None


def test_a_drawing_is_valid_whatever_stands_in_it():
    points = [Point(float(day * 86_400), 0.9, 0.85, 0.95, pages.EVIL) for day in range(3)]

    root = ET.fromstring(over_time(points, label=pages.EVIL))  # noqa: S314 - our own

    assert root.get("aria-label") == pages.EVIL
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 3


@pytest.mark.parametrize("low", [0.0, 0.05, 0.31, 0.5, 0.77, 0.9, 0.99, 1.0])
@pytest.mark.parametrize("spans_s", [0.0, 3600.0, 9e6, 9e8])
def test_every_point_is_on_the_drawing(low: float, spans_s: float):
    points = [Point(1.7e9, low, low, 1.0, "a"), Point(1.7e9 + spans_s, 1.0, low, 1.0, "b")]

    drawn = over_time(points, label="x")

    assert all(0 <= float(y) <= 240 for y in re.findall(r'cy="([-\d.]+)"', drawn))
    assert all(44 <= float(x) <= 708 for x in re.findall(r'cx="([-\d.]+)"', drawn))


def test_a_bar_shows_the_ends_of_the_scale_whole():
    for share in (0.0, 1.0):
        spot = re.search(r'cx="([\d.]+)"', interval_bar(share, share, share, label=""))
        assert spot is not None
        assert 4 <= float(spot[1]) <= 120


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """100,000 tasks, 30,000 of them answered, every tenth by two people."""
    path = tmp_path_factory.mktemp("large") / "store.db"
    opened = open_store(f"sqlite:///{path}", clock=pages.Clock(), durability="normal")
    pages.create_project(opened, "7", pages.policy(ann="admin"))
    for first in range(1, 100_001, 5_000):
        opened.append(
            make_events.task_events(*[make_events.task(n, project="7") for n in range(first, first + 5_000)]), want=None
        )
    number = 0
    for first in range(1, 30_001, 5_000):
        given = []
        for task in range(first, first + 5_000):
            for person in (1, 2) if task % 10 == 0 else (1 + task % 8,):
                number += 1
                given.append(
                    make_events.annotation_event(number, pages.LABELS[task % 2], task=task, person=person, project="7")
                )
        opened.append(given, want=None)
    pages.add_model_history(opened, "7", [0.8, 0.85, 0.9, 0.88])
    yield opened
    opened.close()


@pytest.mark.timed
@pytest.mark.parametrize(
    "figures",
    [project_overview, lambda store, project, _policy: people_page(store, project)],
    ids=["project", "people"],
)
def test_a_page_of_a_hundred_thousand_tasks_comes_within_a_second(large: Store, figures):
    row = large.projects.get_project("7")
    assert row is not None
    policy = row.policy
    figures(large, row, policy)  # imports, and the database's first look

    took_s = []
    for _ in range(3):
        begun = time.perf_counter()
        found = figures(large, row, policy)
        took_s.append(time.perf_counter() - begun)

    assert found["people"]
    assert min(took_s) < 1.0


@pytest.mark.parametrize(
    ("span_s", "form"), [(120.0, r"\d\d:\d\d:\d\d"), (7200.0, r"\d\d:\d\d"), (2 * 86_400.0, r"\d\d \w+")]
)
def test_no_two_marks_of_a_time_axis_are_equal(span_s: float, form: str):
    drawn = over_time([Point(at_s, 0.9, 0.8, 1.0, "m") for at_s in (1e9, 1e9 + span_s)], label="accuracy")

    marks = re.findall(rf">({form})</text>", drawn)
    assert len(marks) == len(set(marks)) >= 3


def _artefact(name: str) -> Artefact:
    return Artefact(name.encode(), digest_of(name.encode()))


def judged(store: Store, challenger: str, champion: str, *, promote: bool, **figures: Any) -> None:
    names = {"challenger": challenger, "champion": champion, "gate": "refresh", "reason": "a reason", "rows": 30}
    body = names | {"promote": promote, "at_s": 1.0, "accuracy": 0.5, "champion_accuracy": 0.6} | figures
    if not promote:
        store.records.create_record("7", "verdict", body, key=challenger)
        return
    store.registry.add("7", challenger, _artefact(challenger), {})
    store.registry.promote("7", challenger, verdict=body)


def accuracy_of_serving(store: Store) -> tuple[dict[str, Any] | None, str]:
    store.projects.save_project(ProjectRow("7", "fake", connected=True))
    row = store.projects.get_project("7")
    assert row is not None
    status = project_status(store, row)
    return status["audit_accuracy"], dict(status_lines(status))["accuracy"]


def test_the_accuracy_is_that_of_the_serving_model_on_rows_that_did_not_choose_it(opened: Any, url: str):
    store = opened(url)
    judged(store, "m1", "", promote=True, accuracy=0.9, champion_accuracy=None)
    figure, line = accuracy_of_serving(store)
    assert figure is not None
    assert figure["value"] == 0.9
    assert "of 30 audit tasks that also decided its promotion, so it may be lower" in line

    judged(store, "m2", "m1", promote=True, free_rows=40, free_accuracy=0.7, champion_free_accuracy=0.8)
    figure, line = accuracy_of_serving(store)
    assert figure is not None
    assert (figure["value"], figure["n"], figure["sample"]) == (0.7, 40, "audit tasks")
    assert line == "70 % (55 to 82 %) of 40 audit tasks, as of 1970-01-01 00:00 UTC"

    judged(store, "m3", "m2", promote=False, free_rows=50, free_accuracy=0.9, champion_free_accuracy=0.72)
    figure, _line = accuracy_of_serving(store)
    assert figure is not None
    assert (figure["value"], figure["n"]) == (0.72, 50)


def test_a_model_that_no_verdict_measured_is_not_shown_with_the_figure_of_another(opened: Any, url: str):
    store = opened(url)
    judged(store, "m1", "", promote=True, accuracy=0.9)
    store.registry.add("7", "m2", _artefact("m2"), {})
    store.registry.promote("7", "m2")
    figure, line = accuracy_of_serving(store)

    assert figure is None
    assert line == "measured when the next model is judged, on audit tasks that it never learns from"


def lines_of(store: Store, row: ProjectRow) -> dict[str, str]:
    store.projects.save_project(row)
    found = store.projects.get_project(row.id)
    assert found is not None
    return dict(status_lines(project_status(store, found)))


def test_imported_predictions_that_people_see_are_not_called_none(store: Store):
    rows = [WindowRow(1, "hitl-0+q1", 0, None, None, False, None, 5.0, imported="extractor-1")]
    store.windows.save_window("7", rows)
    row = ProjectRow("7", connected=True)

    assert lines_of(store, row)["model"] == "none yet, so people see the imported predictions"
    assert not any("Every task is blind" in line for line in project_overview(store, row, Policy())["blind"])


def test_a_page_reads_no_record_and_no_job_twice(store: Store):
    pages.create_project(store, "7", Policy())
    pages.add_model_history(store, "7", [0.8, 0.85, 0.9, 0.88])
    row = store.projects.get_project("7")
    assert row is not None

    sent = stores.list_queries(store, lambda: project_overview(store, row, row.policy))

    of_records = [query for query in sent if "FROM record" in query or "FROM job" in query]
    assert len(of_records) == len(set(of_records)) > 5


def test_a_scrape_reads_one_verdict_where_it_judged_the_serving_model(store: Store):
    pages.create_project(store, "7", Policy())
    pages.add_model_history(store, "7", [0.8, 0.85, 0.83])
    before, champion, last = (f"m{number}-{number * 7919:x}" for number in (1, 2, 3))
    for version in (before, champion):
        store.registry.add("7", version, Artefact(version.encode(), digest_of(version.encode())), {})
    scraped, read = [], []
    for version in (champion, before):  # judged last, and not any more
        store.registry.promote("7", version)
        read.append(sum("'verdict'" in query for query in stores.list_queries(store, lambda: service_gauges(store))))
        scraped.append(service_gauges(store)["hitl_model_accuracy"])

    assert last not in (champion, before)
    assert scraped == [{"7": 0.85}, {"7": 0.8}]
    assert read == [1, 2]


def test_work_that_a_worker_runs_is_not_said_to_wait_for_one(store: Store):
    store.jobs.request_job("7", "turn")
    assert store.jobs.claim_job("w", lease_s=30.0) is not None

    assert lines_of(store, ProjectRow("7", connected=True))["state"] == (
        "connected; work is under way or waits for a worker"
    )


def test_a_project_that_was_left_has_no_queue_and_learns_from_no_webhook_of_ours(store: Store):
    store.windows.save_window("7", [WindowRow(1, "m1+q1", 0, None, None, False, None, 5.0)])
    left = lines_of(store, ProjectRow("7"))
    half = lines_of(store, ProjectRow("7", settings_snapshot={"title": "Reviews"}))

    review = lines_of(store, ProjectRow("8", source="7"))

    assert left["state"] == "not connected: nothing is written, and only webhooks that still come are read"
    assert left["queue"] == "Label Studio's own order"
    assert review["state"] == "the review project of project 7: see `hitl cases 7`"
    assert half["state"] == "connected in part: run `hitl connect` again"


def test_imported_answers_are_counted_by_task_and_are_no_votes(opened: Any, url: str):
    store = opened(url)
    pages.create_project(store, "7", Policy())
    store.append(make_events.task_events(*(make_events.task(number, project="7") for number in range(1, 5))))
    came = [(1, 1, 5), (2, 1, None), (3, 2, None)]  # annotation, task, and whom the import names
    store.append(
        [
            *(
                make_events.annotation_event(number, "spam", task=task, person=person, project="7", imported=True)
                for number, task, person in came
            ),
            make_events.annotation_event(4, "ham", task=3, project="7", imported=True, parent_prediction=9),
            make_events.annotation_event(5, "ham", task=4, project="7", result=({"foo": 1},)),
        ]
    )
    row = store.projects.get_project("7")
    assert row is not None
    status = project_status(store, row)

    assert status["imported"] == {"use": "train", "ask": "none", "tasks": 2, "copied": 1}
    assert [(vote.annotation, vote.person) for vote in store.votes.list_votes("7", imported=True)] == [
        (2, 0), (1, 5), (3, 0),
    ]  # fmt: skip
    assert store.votes.list_votes("7") == []
    assert (status["answers"], status["people"], status["unreadable"]) == (0, 0, 1)
    assert [entry["why"] for entry in status["not_counted"]] == ["cannot be read: region 0: no from_name or type"]
