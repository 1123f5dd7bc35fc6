"""Every annotation type on a real Label Studio: predicted, drawn for the annotator, compared, settled and reviewed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
from feedback.policy import read_policy
from feedback.project.connect import connect, describe_learning, disconnect
from feedback.project.snapshot import load_snapshot
from feedback.reports.agreement_report import analyse_project
from feedback.review.review_answers import parse_review
from feedback.review.review_task_content import FACTS, HISTORY, KEY, VERDICT, VERDICTS, review_label_config
from ml_backend.codecs import decode_result, get_codec
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio import review_project_client
from ml_backend.labelstudio.parsing import read_annotation
from ml_backend.labelstudio.review_project_client import ReviewProjectSettings, ReviewTask
from ml_backend.plugins import CODECS
from tests.support import browser, stores
from tests.support.connected import loop_of, settings_of
from tests.support.controls import CASES, Case
from tests.support.label_studio import Project, Site, StubBackend, delete_project
from tests.support.live_browser import LiveBrowser

pytestmark = pytest.mark.e2e

POLICY = read_policy("[consensus]\nwrite_back = true\n[audit]\nshare = 0.3\n[tiers.L1]\n[tiers.L2]")
NEEDS_BROWSER = pytest.mark.skipif(browser.program() is None, reason="no chromium on this machine")
LOOSE = ("RectangleLabels", "TimelineLabels")  # without a version to show, the page must be without the answer
READY = "document.querySelector('.lsf-main-view__annotation') !== null"


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def project(site: Site, case: Case) -> Iterator[Project]:
    with site.project(0, label_config=case.label_config) as made:
        tasks = site.admin.import_tasks(made.id, [{"data": case.data}] * 2)
        yield Project(site.admin, made.id, tuple(tasks))


@pytest.fixture(scope="module")
def tab(site: Site) -> Iterator[LiveBrowser]:
    """A browser in which the first annotator has logged in."""
    ada = site.accounts[0]
    with httpx.Client(base_url=site.url, headers={"Referer": site.url}) as session, LiveBrowser() as opened:
        session.get("/user/login/")
        form = {"email": ada.email, "password": ada.password, "csrfmiddlewaretoken": session.cookies["csrftoken"]}
        session.post("/user/login/", data=form)
        opened.set_cookies(site.url, dict(session.cookies))
        yield opened


def encode(case: Case) -> list[dict[str, Any]]:
    """The answer of a case as a prediction has it."""
    return get_codec(case.control.kind).encode(case.answer, case.control, 0.9)


def test_every_codec_has_a_case():
    assert {case.control.kind for case in CASES.values()} == set(CODECS)


@pytest.mark.browser
@NEEDS_BROWSER
def test_a_prediction_is_accepted_and_drawn_on_the_labelling_page(
    site: Site, project: Project, case: Case, tab: LiveBrowser
):
    rows = [{"task": task, "result": encode(case), "score": 0.9, "model_version": "m1"} for task in project.tasks]

    assert site.admin.create_predictions(project.id, rows) == len(rows)
    (read,) = site.admin.predictions(task=project.tasks[0])
    assert decode_result(read["result"]).answers == {"c": case.answer}
    page = f"{site.url}/projects/{project.id}/data?labeling=1"
    if case.name in LOOSE:
        tab.open(page)
        assert tab.wait_for(READY)
        assert not tab.wait_for(case.drawn, patience_s=2.0)
    site.admin.patch_project(project.id, model_version="m1")
    tab.open(page)
    assert tab.wait_for(case.drawn)


def test_answers_are_compared_settled_and_written_back(
    site: Site, project: Project, case: Case, backend: StubBackend, tmp_path: Path
):
    with closing(stores.fresh(tmp_path / "hitl.db")) as store:
        connect(settings_of(site, backend), store, site.admin, project.id, policy=POLICY, now_s=time.time())
        loop = loop_of(store, tmp_path, platform=LabelStudioAdapter(site.admin, store))
        for person in site.people[:2]:
            for task in project.tasks:
                person.submit(task, [{**region, "score": None} for region in encode(case)])
        loop.turn(project.id)
        row = store.projects.get_project(project.id)
        assert row is not None
        snapshot = load_snapshot(store, row, row.policy)
        analysis = analyse_project(snapshot)
        written = [site.admin.annotations(task) for task in project.tasks]
        disconnect(store, site.admin, project.id)

    assert [vote.answer for vote in snapshot.votes] == [case.answer] * 4
    assert analysis.agreement["percent"].value == 1.0
    for given in written:
        (settled,) = [one for one in given if one["ground_truth"]]
        assert decode_result(settled["result"]).answers == {"c": case.answer}
    notes = " ".join(describe_learning(case.label_config, POLICY))
    assert "works on control 'c'" in notes


def test_a_reviewer_finds_the_answer_filled_in_and_corrects_it(site: Site, case: Case):
    config = read_label_config(case.label_config)
    settings = ReviewProjectSettings("[hitl:test:controls]", "review", review_label_config(config, "L2", POLICY), "")
    made = review_project_client.ensure_review_project(site.admin, settings, known="").id
    try:
        data = {**case.data, KEY: "one", FACTS: {"Tier": "L2"}, HISTORY: [{"author": "Ann", "text": "-"}]}
        data[VERDICTS] = [{"value": "accept"}, {"value": "fix"}]
        review_project_client.import_review_tasks(site.admin, made, [ReviewTask(data, tuple(encode(case)), 0.5, 1)])
        handed = site.people[0].next_task(made)
        assert handed is not None
        filled_in = handed["predictions"][0]["result"]
        verdict = {"from_name": VERDICT, "to_name": FACTS, "type": "choices", "value": {"choices": ["fix"]}}
        site.people[0].submit(handed["id"], [*filled_in, verdict])
        (given,) = site.admin.annotations(handed["id"])
    finally:
        delete_project(site.admin, made)

    assert decode_result(filled_in).answers == {"c": case.answer}
    review = parse_review(read_annotation(given, made), config.control("c"), POLICY, case=1, round_number=1, tier="L2")
    assert (review.verdict, review.answer) == ("fix", case.answer)
