"""Review projects on a real Label Studio: what is shown, in which order, and what is written back once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from feedback.policy import read_policy
from feedback.review.review_answers import parse_review
from feedback.review.review_task_content import (
    FACTS,
    HISTORY,
    KEY,
    REASON,
    VERDICT,
    VERDICTS,
    review_label_config,
)
from feedback.store import CaseRow, urgency
from ml_backend.label_config import read_label_config
from ml_backend.labelstudio import review_project_client
from ml_backend.labelstudio.changed_tasks import poll_tasks
from ml_backend.labelstudio.parsing import own_unique_id
from ml_backend.labelstudio.review_project_client import ReviewProject, ReviewProjectSettings, ReviewTask
from tests.support.label_studio import SENTIMENT, Project, Site, StubBackend, choice_result, delete_project

pytestmark = pytest.mark.e2e

POLICY = read_policy(
    """
    [tiers.L1]
    [tiers.L2]
    [feedback.fraud]
    kind = "choice"
    options = ["card", "account"]
    [feedback.sure]
    kind = "rating"
    [feedback.amount]
    kind = "number"
    [feedback.words]
    kind = "text"
    """
)
CONFIG = review_label_config(read_label_config(SENTIMENT), "L2", POLICY)
SETTINGS = ReviewProjectSettings("[hitl:test:L2]", "test · L2", CONFIG, "Review.")


@pytest.fixture
def review_project(site: Site) -> Iterator[str]:
    made = review_project_client.ensure_review_project(site.admin, SETTINGS, known="").id
    yield made
    delete_project(site.admin, made)


def copy(key: str, urgency: float = 0.5, n_reviewers: int = 1) -> ReviewTask:
    data = {"text": "hello", KEY: key, FACTS: {"Tier": "a test"}, HISTORY: [{"author": "Ann", "text": "good"}]}
    return ReviewTask(data, tuple(choice_result("good")), urgency, n_reviewers)


def verdict(name: str, reason: str = "") -> list[dict[str, object]]:
    parsed = [{"from_name": VERDICT, "to_name": FACTS, "type": "choices", "value": {"choices": [name]}}]
    if reason:
        parsed.append({"from_name": REASON, "to_name": FACTS, "type": "choices", "value": {"choices": [reason]}})
    return parsed


def test_a_review_project_is_made_once_and_found_again(site: Site, review_project: str) -> None:
    for known in (review_project, "", "999999"):
        found = review_project_client.ensure_review_project(site.admin, SETTINGS, known=known)
        assert found == ReviewProject(review_project)


def test_a_label_config_that_moved_on_is_put_in_step(site: Site, review_project: str) -> None:
    more = SENTIMENT.replace('<Choice value="bad"/>', '<Choice value="bad"/><Choice value="mixed"/>')
    config = review_label_config(read_label_config(more), "L2", POLICY)

    settings = ReviewProjectSettings("", "", config, "")
    changed = review_project_client.ensure_review_project(site.admin, settings, known=review_project)

    assert changed == ReviewProject(review_project)
    assert "mixed" in site.admin.project(review_project)["label_config"]


def test_the_instruction_of_the_source_is_shown_and_changes_with_it(site: Site, review_project: str) -> None:
    for instruction in (("<b>Read the whole text</b>", True), ("", False)):
        settings = ReviewProjectSettings("", "", CONFIG, "", instruction)
        review_project_client.ensure_review_project(site.admin, settings, known=review_project)

        body = site.admin.project(review_project)
        assert (body["expert_instruction"] or "", body["show_instruction"]) == instruction


def test_each_review_task_names_its_own_verdicts_and_one_without_them_is_accepted(
    site: Site, review_project: str
) -> None:
    """The editor offers the choices that the task's data names; a browser showed it on Label Studio 1.23.2."""
    shown = replace(copy("shown"), data={**copy("shown").data, VERDICTS: [{"value": "accept"}, {"value": "fix"}]})
    tasks = review_project_client.import_review_tasks(site.admin, review_project, [shown, copy("old")])

    assert [task.data.get(VERDICTS) for task in tasks] == [[{"value": "accept"}, {"value": "fix"}], None]
    assert f'Value="${VERDICTS}"' in site.admin.project(review_project)["label_config"]


def test_the_most_urgent_review_task_is_served_first_with_its_answer_filled_in(site: Site, review_project: str) -> None:
    """One second of the due time is enough, as in lists of cases; the number decides only after it."""
    later, sooner = (CaseRow("7", 1, "queued", "L2", id=id_, due_s=1.8e9 + id_ % 2) for id_ in (1, 2))
    calm, urgent = (
        task.id
        for task in review_project_client.import_review_tasks(
            site.admin, review_project, [copy("calm", urgency(later)), copy("urgent", urgency(sooner))]
        )
    )

    handed = site.people[0].next_task(review_project)

    assert handed is not None
    assert handed["id"] == urgent
    assert handed["data"][KEY] == "urgent"
    assert handed["predictions"][0]["result"][0]["value"] == {"choices": ["good"]}
    second = site.people[1].next_task(review_project)
    assert second is not None
    assert second["id"] == calm


def test_a_panel_is_asked_by_one_copy(site: Site, review_project: str) -> None:
    task = review_project_client.import_review_tasks(site.admin, review_project, [copy("one", n_reviewers=2)])[0].id

    for person in site.people[:2]:
        handed = person.next_task(review_project)
        assert handed is not None
        person.submit(task, [*choice_result("good"), *verdict("accept")])

    assert site.people[2].next_task(review_project) is None


def test_a_verdict_is_read_as_it_was_given(site: Site, review_project: str) -> None:
    task = review_project_client.import_review_tasks(site.admin, review_project, [copy("one")])[0].id
    more = [
        {"from_name": "hitl_comment", "to_name": FACTS, "type": "textarea", "value": {"text": ["see page 3"]}},
        {"from_name": "hitl_ask_fraud", "to_name": FACTS, "type": "choices", "value": {"choices": ["card"]}},
        {"from_name": "hitl_ask_sure", "to_name": FACTS, "type": "rating", "value": {"rating": 4}},
        {"from_name": "hitl_ask_amount", "to_name": FACTS, "type": "number", "value": {"number": 12.5}},
    ]
    site.people[0].submit(task, [*choice_result("bad"), *verdict("fix", "wrong_label"), *more])

    ((_, (annotation,)),) = list(poll_tasks(site.admin, review_project, ""))
    parsed = parse_review(
        annotation, read_label_config(CONFIG).control("sentiment"), POLICY, case=1, round_number=1, tier="L2"
    )

    assert (parsed.verdict, parsed.reason, parsed.comment) == ("fix", "wrong_label", "see page 3")
    assert parsed.answer is not None
    assert parsed.answer.value == ("bad",)
    assert parsed.feedback == {"fraud": ["card"], "sure": 4, "amount": 12.5}


def test_a_draft_of_anybody_is_seen_before_they_submit(site: Site, review_project: str) -> None:
    one, two = (
        task.id
        for task in review_project_client.import_review_tasks(site.admin, review_project, [copy("one"), copy("two")])
    )
    site.people[1].send("POST", f"api/tasks/{two}/drafts", body={"result": choice_result("bad"), "lead_time": 3})

    found = review_project_client.first_drafts(site.admin, [one, two])

    assert list(found) == [two]
    assert found[two][0] == site.accounts[1].id
    assert review_project_client.list_emails(site.admin)[site.accounts[1].id] == "ben@example.com"


def test_the_final_answer_is_written_once_and_starred(site: Site, project: Project) -> None:
    task = project.tasks[0]
    site.people[0].submit(task, choice_result("bad"))

    first = review_project_client.write_final_answer(
        site.admin, task, choice_result("good"), unique_id=own_unique_id("1/1")
    )
    again = review_project_client.write_final_answer(
        site.admin, task, choice_result("good"), unique_id=own_unique_id("1/1")
    )

    assert first == again
    assert first[1]
    stars = {row["id"]: row["ground_truth"] for row in site.admin.annotations(task)}
    assert [star for number, star in stars.items() if number == first[0]] == [True]
    assert len(stars) == 2


def test_a_person_keeps_their_star(site: Site, project: Project) -> None:
    task = project.tasks[1]
    theirs = site.people[0].submit(task, choice_result("bad"), ground_truth=True)

    number, starred = review_project_client.write_final_answer(
        site.admin, task, choice_result("good"), unique_id=own_unique_id("2/1")
    )

    assert not starred
    stars = {row["id"]: row["ground_truth"] for row in site.admin.annotations(task)}
    assert stars == {theirs["id"]: True, number: False}


def test_our_own_star_of_an_earlier_round_moves_on(site: Site, project: Project) -> None:
    task = project.tasks[2]
    first, _ = review_project_client.write_final_answer(
        site.admin, task, choice_result("bad"), unique_id=own_unique_id("3/1")
    )

    second, starred = review_project_client.write_final_answer(
        site.admin, task, choice_result("good"), unique_id=own_unique_id("3/2"), ours=[own_unique_id("3/1")]
    )

    assert starred
    assert {row["id"]: row["ground_truth"] for row in site.admin.annotations(task)} == {first: False, second: True}


def test_only_a_copy_that_nobody_answered_is_removed(site: Site, project: Project, review_project: str) -> None:
    open_, answered = (
        task.id
        for task in review_project_client.import_review_tasks(site.admin, review_project, [copy("one"), copy("two")])
    )
    site.people[0].submit(answered, [*choice_result("bad"), *verdict("fix", "wrong_label")])

    assert review_project_client.delete_review_task(site.admin, review_project, open_)
    assert review_project_client.delete_review_task(site.admin, review_project, open_)  # gone already
    assert not review_project_client.delete_review_task(site.admin, review_project, answered)
    assert review_project_client.delete_review_task(
        site.admin, review_project, project.tasks[0]
    )  # a number that is another project's now
    assert [row["id"] for row in site.admin.each_task(review_project)] == [answered]
    assert project.tasks[0] in project.overlaps()


def test_a_copy_whose_import_was_cut_short_is_completed(site: Site, review_project: str) -> None:
    whole = copy("one", urgency=0.2, n_reviewers=2)
    (bare,) = site.admin.import_tasks(review_project, [{"data": dict(whole.data)}])
    for _ in range(2):
        review_project_client.complete_review_tasks(site.admin, review_project, {bare: whole})

    handed = [person.next_task(review_project) for person in site.people[:2]]
    assert [one["id"] for one in handed if one] == [bare, bare]
    assert [row["result"][0]["value"] for one in handed if one for row in one["predictions"]] == [
        {"choices": ["good"]},
        {"choices": ["good"]},
    ]


def test_a_review_project_sends_webhooks_until_they_are_removed(site: Site, review_project: str) -> None:
    with StubBackend() as backend:
        for url in ("http://127.0.0.1:9/webhook", f"{backend.url}/webhook", f"{backend.url}/webhook"):
            review_project_client.ensure_webhook(site.admin, review_project, url, {"X-Hitl-Secret": "ours"})
        (webhook,) = site.admin.webhooks(review_project)
        task = review_project_client.import_review_tasks(site.admin, review_project, [copy("one")])[0].id
        site.people[0].submit(task, [*choice_result("bad"), *verdict("fix", "wrong_label")])
        review_project_client.delete_webhooks(site.admin, review_project, "X-Hitl-Secret")
        site.people[1].submit(task, [*choice_result("bad"), *verdict("fix", "wrong_label")])

        assert webhook["url"] == f"{backend.url}/webhook"
        ((headers, body),) = backend.events  # of nothing that we put in, and of nothing afterwards
        assert (headers["X-Hitl-Secret"], body["action"]) == ("ours", "ANNOTATION_CREATED")
    assert site.admin.webhooks(review_project) == []
