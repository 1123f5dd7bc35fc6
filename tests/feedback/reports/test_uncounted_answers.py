"""What does not count is told where people look: status, history, why and their JSON, by reason and person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedback.cli import app
from feedback.project.label_changes import record_label_change
from feedback.reports.project_status import project_status
from feedback.reports.status_text import status_lines
from feedback.reports.uncounted_answers import EMPTY, RELABELLED, count_uncounted, list_uncounted
from feedback.store.log.events import event_from_annotation, event_from_task
from ml_backend.records import Annotation, Task
from tests.support.real_platform import ADDRESSES
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, open_case, policy_text

LATER_TIER_ONLY = '[people."dan@example.com"]\ntiers = ["L2"]\n[people."cleo@example.com"]\ntiers = ["L2"]\n'
NOT_OF_L1 = "is not among the people of L1"


@pytest.fixture
def addresses() -> dict[int, str]:
    return dict(ADDRESSES)


def hitl(*args: object) -> str:
    return CliRunner().invoke(app, [str(arg) for arg in args], catch_exceptions=False).output


def counts(world: World) -> dict[tuple[str, int | None], int]:
    rows = count_uncounted(list_uncounted(world.store, world.row))
    return {(row["why"], row["person"]): row["answers"] for row in rows}


def test_answers_of_people_who_may_not_answer_are_told_everywhere_until_they_count(world: World, data_dir: Path):
    world.use(policy_text(more=LATER_TIER_ONLY))
    tasks = world.site.add("a1 apple", "a2 pear", "a3 plum")
    world.turn()
    for task in tasks[:2]:
        world.site.answer(task, "tool", person=DAN)
    world.site.answer(tasks[2], "tool", person=EVA)  # not listed, which excludes nobody from the first tier
    world.turn()

    assert counts(world) == {(NOT_OF_L1, DAN): 2}
    lines = list(status_lines(project_status(world.store, world.row)))
    assert ("not counted", f"2 answers of person {DAN}: {NOT_OF_L1}") in lines
    assert f"not counted   2 answers of person {DAN}: {NOT_OF_L1}" in hitl("status", PROJECT)
    body = json.loads(hitl("status", PROJECT, "--json"))["projects"][0]
    assert body["not_counted"] == [{"why": NOT_OF_L1, "person": DAN, "answers": 2}]
    assert (body["answers"], body["answers_not_counted"]) == (3, 2)
    assert "3 of 3 tasks: 3 answers by 2 people, of which 2 do not count" in hitl("status", PROJECT)
    assert NOT_OF_L1 in hitl("why", PROJECT, tasks[0])
    assert "has answered" not in hitl("why", PROJECT, tasks[0])
    assert json.loads(hitl("why", PROJECT, tasks[0], "--json"))["not_counted"][0]["why"] == NOT_OF_L1
    assert [row["not_counted"] for row in json.loads(hitl("history", PROJECT, tasks[0], "--json"))] == [NOT_OF_L1]

    world.use(policy_text())
    world.turn()
    assert counts(world) == {}
    world.use(policy_text(more=LATER_TIER_ONLY))
    world.turn()
    assert counts(world) == {(NOT_OF_L1, DAN): 2}
    world.use(policy_text(more=LATER_TIER_ONLY.replace('["L2"]', '["L1"]')))
    world.turn()
    assert counts(world) == {}


def test_a_new_list_of_people_tells_how_many_recorded_answers_it_takes_out(
    world: World, data_dir: Path, addresses: dict[int, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feedback.cli.policy.list_emails", lambda _settings, _store: addresses)
    world.use(policy_text())
    tasks = world.site.add("a1 apple", "a2 pear", "a3 plum")
    world.turn()
    for task in tasks[:2]:
        world.site.answer(task, "tool", person=DAN)
    world.site.answer(tasks[2], "tool", person=EVA)
    world.turn()
    (data_dir / "new.toml").write_text(policy_text(more=LATER_TIER_ONLY), encoding="utf-8")
    (data_dir / "same.toml").write_text(policy_text(), encoding="utf-8")
    out = f"2 recorded answers of 1 person would no longer count (dan@example.com: {NOT_OF_L1})."
    back = "2 recorded answers of 1 person would count again."

    for command in ("check", "simulate", "activate"):  # the last one leaves the new policy active, and no turn runs
        yes = ["--yes"] if command == "activate" else []
        assert out in hitl("policy", command, PROJECT, data_dir / "new.toml", *yes)
        if command != "activate":
            assert "recorded answer" not in hitl("policy", command, PROJECT, data_dir / "same.toml")
    assert "recorded answer" not in hitl("policy", "check", PROJECT, data_dir / "new.toml")
    assert back in hitl("policy", "check", PROJECT, data_dir / "same.toml")
    body = json.loads(hitl("policy", "simulate", PROJECT, data_dir / "same.toml", "--json"))
    assert f"answers: {back}" in body["sentences"]
    world.turn()
    assert counts(world) == {(NOT_OF_L1, DAN): 2}


def test_without_addresses_it_is_told_that_the_answers_are_not_compared(world: World, data_dir: Path):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple")
    world.turn()
    world.site.answer(task, "tool", person=DAN)
    world.turn()
    (data_dir / "new.toml").write_text(policy_text(more=LATER_TIER_ONLY), encoding="utf-8")

    told = hitl("policy", "check", PROJECT, data_dir / "new.toml")
    assert "people: how many recorded answers would count is not known" in told


def test_a_new_process_forgets_what_counts_by_now(world: World):
    world.use(policy_text(more=LATER_TIER_ONLY))
    (task,) = world.site.add("a1 apple")
    world.turn()
    world.site.answer(task, "tool", person=DAN)
    world.turn()
    for policy in (policy_text(more=LATER_TIER_ONLY.replace("L2", "L1")), policy_text()):
        world.use(policy)
        world.__post_init__()  # another process
        world.turn()

        assert counts(world) == {}
        world.use(policy_text(more=LATER_TIER_ONLY))
        world.turn()
        assert counts(world) == {(NOT_OF_L1, DAN): 1}


@pytest.mark.usefixtures("data_dir")
def test_a_table_of_thresholds_keeps_what_does_not_count(world: World):
    world.use(policy_text(more=LATER_TIER_ONLY + '[[routing]]\nid = "all"\nto = "L1"\n'))
    (task,) = world.site.add("a1 apple")
    world.turn()
    world.site.answer(task, "tool", person=DAN)
    world.turn()
    hitl("policy", "thresholds", PROJECT)

    assert counts(world) == {(NOT_OF_L1, DAN): 1}


@pytest.mark.usefixtures("data_dir")
def test_agreement_and_people_leave_out_what_does_not_count(world: World):
    world.use(policy_text(more=LATER_TIER_ONLY), overlap=3)
    (task,) = world.site.add("a1 apple")
    world.turn()
    for person, label in ((EVA, "fruit"), (ADA, "fruit"), (DAN, "tool")):
        world.site.answer(task, label, person=person)
    world.turn()
    found = json.loads(hitl("agree", PROJECT, "--json"))

    assert {row["worker"] for row in found["annotators"]} == {ADA, EVA}
    assert sorted(row["person"] for row in json.loads(hitl("people", PROJECT, "--json"))) == [ADA, EVA]


def test_every_reason_is_listed_with_its_answer(world: World):
    world.use(policy_text(), overlap=5)
    (task,) = world.site.add("a1 apple")
    world.turn()
    replaced = world.site.answer(task, "tool", person=ADA)
    counted = world.site.answer(task, "fruit", person=ADA)

    def other(number: int, person: int | None, result: tuple[object, ...], **more: object) -> None:
        time = "2026-01-02T00:00:00Z"
        annotation = Annotation(number, task, PROJECT, person, result, updated_at=time, created_at=time, **more)  # type: ignore[arg-type]
        world.store.append([event_from_annotation(annotation, "poll")])

    other(901, BEN, ({"from_name": "kind", "to_name": "text", "type": "choices", "value": {"choices": 7}},))
    other(902, CLEO, ())
    other(903, None, (), imported=True)
    other(904, DAN, (), was_cancelled=True)
    world.turn()

    assert {row.annotation: row.why for row in list_uncounted(world.store, world.row, task)} == {
        replaced: "was replaced by a later answer of the same person",
        901: "cannot be read: control kind: choices is not a list of labels",
        902: "says nothing of what is learned",
        903: "was imported; nobody gave it here",
    }
    assert counted not in {row.annotation for row in list_uncounted(world.store, world.row, task)}
    assert sum(counts(world).values()) == 3  # imported answers are counted apart
    assert dict(status_lines(project_status(world.store, world.row)))["imported"].startswith("1 task came with answers")
    status = project_status(world.store, world.row)  # Ada's replaced annotation is no answer of its own
    assert (status["answers"], status["answers_not_counted"]) == (1, 0)


def test_an_empty_answer_of_a_project_of_spans_is_counted_apart(world: World, data_dir: Path):
    spans = (
        '<View><Text name="text" value="$text"/><Labels name="ner" toName="text"><Label value="PER"/></Labels></View>'
    )
    world.use(policy_text())
    world.store.projects.save_project(replace(world.row, label_config=spans))
    time = "2026-01-02T00:00:00Z"
    region = {
        "from_name": "ner", "to_name": "text", "type": "labels", "value": {"start": 0, "end": 3, "labels": ["PER"]}
    }  # fmt: skip
    for number, result in ((901, ()), (902, (region,)), (903, ({**region, "value": {"labels": 7}},))):
        task = Task(number, {"text": "Ann is here"}, PROJECT)
        annotation = Annotation(number, number, PROJECT, ADA, result, updated_at=time, created_at=time)
        world.store.append([event_from_task(task, "poll"), event_from_annotation(annotation, "poll")])

    status = json.loads(hitl("status", PROJECT, "--json"))["projects"][0]
    assert status["empty_answers"] == 1
    why = "cannot be read: control ner: start is None, wanted a number"
    assert status["not_counted"] == [{"why": why, "person": ADA, "answers": 1}]
    assert (status["answers"], status["answers_not_counted"]) == (1, 0)
    told = hitl("status", PROJECT)
    assert "empty answers 1, with nothing marked; they are kept, and no model learns from them" in told
    assert "says nothing" not in told
    assert [row.why for row in list_uncounted(world.store, world.row, 901)] == [EMPTY]


def test_a_task_whose_only_answer_says_nothing_is_not_called_answered(world: World, data_dir: Path):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple")
    world.turn()
    time = "2036-01-02T00:00:00Z"
    nothing = Annotation(902, task, PROJECT, ADA, (), updated_at=time, created_at=time)
    labelled = replace(world.site.tasks[task], is_labeled=True, updated_at=time)
    world.store.append([event_from_task(labelled, "poll", seen_s=2e9), event_from_annotation(nothing, "poll")])

    assert hitl("why", task).startswith(f"Task {task}: marked as labelled in Label Studio, and no answer counts.")


def test_reviews_that_do_not_count_are_told_with_the_task(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=ADA, reason="boundary")  # her own case
    world.turn()

    ((why, person),) = counts(world)
    assert ("has answered this case before" in why, person) == (True, ADA)
    assert [row.task for row in list_uncounted(world.store, world.row, task)] == [task]


def test_answers_from_before_a_label_changed_are_told(world: World):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple")
    world.turn()
    world.site.answer(task, "tool", person=ADA)
    world.turn()
    votes = world.store.votes.list_votes(PROJECT)
    record_label_change(world.store, PROJECT, votes, ["fruit", "tool"], label="tool", now_s=world.site.seconds())
    world.turn()

    assert counts(world) == {(RELABELLED, ADA): 1}
    assert project_status(world.store, world.row)["answers_not_counted"] == 1
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    assert RELABELLED not in {why for why, _person in counts(world)}


def choices(value: object, control: str = "kind") -> dict[str, object]:
    return {"from_name": control, "to_name": "text", "type": "choices", "value": {"choices": value}}


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (choices(["fruit", "tool"]), "several labels at once (12)"),
        (choices(["pear"]), "the label 'pear' is not in the label config (12)"),
        (choices(7), "cannot be read: control kind: choices is not a list of labels (12)"),
        (choices(["fruit"], "other"), "says nothing of what is learned (12)"),
    ],
)
def test_many_answers_of_which_none_is_learned_are_told_with_the_reason(
    world: World, data_dir: Path, result: dict[str, object], why: str
):
    world.use(policy_text())
    tasks = world.site.add(*(f"a{number} apple" for number in range(12)))
    world.turn()
    time = "2026-01-02T00:00:00Z"
    for number, task in enumerate(tasks, 901):
        annotation = Annotation(number, task, PROJECT, ADA, (result,), updated_at=time, created_at=time)
        world.store.append([event_from_annotation(annotation, "poll")])
        if number == 909:  # a few may be mistakes
            world.turn()
            assert "lie outside" not in hitl("status", PROJECT)
    world.turn()

    sentence = f"12 answers lie outside what control 'kind' can learn: {why}"
    assert sentence in hitl("status", PROJECT)
    assert json.loads(hitl("status", PROJECT, "--json"))["projects"][0]["not_learned"] == sentence
    for task in world.site.add(*(f"b{number} apple" for number in range(13))):
        world.site.answer(task, "fruit", person=BEN)
    world.turn()
    assert "lie outside" not in hitl("status", PROJECT)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('value="$text"', 'value="$text" valueType="url"', "what it shows lies behind the address in the field 'text'"),
        ('<Choice value="tool"/>', "", "it has no label but 'fruit'"),
        ('name="kind"', 'name="kind" choice="multiple"', "accepts several labels at once"),
    ],
)
def test_many_answers_to_a_control_that_no_model_learns_are_told_although_each_is_a_label(
    world: World, data_dir: Path, old: str, new: str, why: str
):
    world.use(policy_text())
    row = world.store.projects.get_project(PROJECT)
    assert row is not None
    assert old in row.label_config
    world.site.label_config = row.label_config.replace(old, new)
    world.store.projects.save_project(replace(row, label_config=world.site.label_config))
    for number, task in enumerate(world.site.add(*(f"a{number} apple" for number in range(10)))):
        assert "lie outside" not in hitl("status", PROJECT), number
        world.site.answer(task, "fruit", person=ADA)
        world.turn()

    assert "10 answers lie outside what control 'kind' can learn: " in hitl("status", PROJECT)
    assert why in hitl("status", PROJECT)


def test_skips_drafts_and_unreadable_answers_are_told_where_nobody_has_answered(world: World, data_dir: Path):
    world.use(policy_text())
    tasks = world.site.add("a1 apple", "a2 pear", "a3 plum")
    world.turn()
    world.site.skip_source(tasks[0], person=ADA)
    world.site.draft(tasks[1], person=BEN)
    world.site.pass_time(700)
    time = "2026-01-02T00:00:00Z"
    unreadable = Annotation(901, tasks[2], PROJECT, ADA, (choices(7),), updated_at=time, created_at=time)
    world.store.append([event_from_annotation(unreadable, "poll")])
    world.turn()

    told = hitl("status", PROJECT)
    assert "none of 3 tasks yet, 1 skipped, 1 unreadable and not counted" in told
    assert "drafts        1 task has one that nobody has submitted" in told
    assert json.loads(hitl("status", PROJECT, "--json"))["projects"][0]["drafts"] == 1
