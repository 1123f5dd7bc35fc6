"""What a review task shows: answers in words, the source's instruction, and verdicts that may count on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from feedback.policy import read_policy
from feedback.review.review_task_content import (
    COMMENT,
    FACTS,
    HISTORY,
    REASON,
    VERDICT,
    VERDICTS,
    offered_verdicts,
    prefilled_regions,
    review_label_config,
)
from feedback.store import CaseRow, ProjectRow, urgency
from ml_backend.label_config import read_label_config
from ml_backend.records import Annotation, Task
from tests.feedback.review.test_explanations import promote
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, open_case, policy_text

TEXT = '<View><Text name="text" value="$text"/>{}</View>'
IMAGE = '<View><Image name="img" value="$image"/>{}</View>'
BOX = {"x": 10.0, "y": 20.0, "width": 30.0, "height": 5.0, "rotation": 0.0, "rectanglelabels": ["Car"]}
CONTROLS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "labels": (
        TEXT.format('<Labels name="c" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>'),
        "labels",
        {"start": 0, "end": 5, "labels": ["PER"]},
        'PER "Alice" (0 to 5)',
    ),
    "boxes": (
        IMAGE.format(
            '<RectangleLabels name="c" toName="img"><Label value="Car"/><Label value="Bus"/></RectangleLabels>'
        ),
        "rectanglelabels",
        BOX,
        "Car (10 % from the left, 20 % from the top, 30 % wide, 5 % high)",
    ),
    "taxonomy": (
        TEXT.format(
            '<Taxonomy name="c" toName="text"><Choice value="Animal"><Choice value="Dog"/><Choice value="Cat"/>'
            '</Choice><Choice value="Plant"/></Taxonomy>'
        ),
        "taxonomy",
        {"taxonomy": [["Animal", "Dog"], ["Plant"]]},
        "Animal > Dog, Plant",
    ),
    "several choices": (
        TEXT.format(
            '<Choices name="c" toName="text" choice="multiple"><Choice value="a"/><Choice value="b"/></Choices>'
        ),
        "choices",
        {"choices": ["a", "b"]},
        "a, b",
    ),
    "rating": (TEXT.format('<Rating name="c" toName="text"/>'), "rating", {"rating": 4}, "4"),
    "number": (TEXT.format('<Number name="c" toName="text"/>'), "number", {"number": 3.0}, "3"),
}


def lines(task: Task) -> list[str]:
    return [line["text"] for line in task.data[HISTORY]]


def use(world: World, config: str, text: str) -> None:
    world.site.label_config = config
    row = ProjectRow(PROJECT, "fake", config, connected=True, overlap=2)
    world.store.projects.save_project(row)
    world.store.policies.activate_policy(row, read_policy(text), who="test", now_s=world.site.seconds())


def answer(world: World, task: int, kind: str, value: Mapping[str, Any], *, person: int) -> None:
    """Give an answer of any type."""
    to_name = "img" if kind == "rectanglelabels" else "text"
    number, now = next(world.site._numbers), world.site._tick()
    region = {"from_name": "c", "to_name": to_name, "type": kind, "value": dict(value)}
    world.site.annotations[number] = Annotation(number, task, PROJECT, person, (region,), now, created_at=now)
    world.site.tasks[task] = replace(world.site.tasks[task], is_labeled=person == BEN, updated_at=world.site._tick())


@pytest.mark.parametrize("name", CONTROLS)
def test_an_answer_of_every_type_is_shown_in_words(world: World, name: str):
    config, kind, value, words = CONTROLS[name]
    use(world, config, policy_text())
    (task,) = world.site.add_rows({"text": "Alice met Bob", "image": "http://images.example/1.png"})
    world.turn()
    answer(world, task, kind, value, person=ADA)
    world.turn()
    other = {**value, "end": 13} if kind == "labels" else {**value, "x": 50.0} if kind == "rectanglelabels" else None
    another = {"taxonomy": [["Plant"]], "choices": ["a"], "rating": 1, "number": 99.5}
    answer(world, task, kind, other or {kind: another[kind]}, person=BEN)
    world.turn()
    world.turn()

    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    assert lines(copy)[0] == words
    assert all("[" not in text and "{" not in text for text in lines(copy))


def test_the_sources_instruction_is_copied_and_kept_in_step(world: World):
    world.site.settings = {"expert_instruction": "<b>Read the whole text</b>", "show_instruction": True}
    open_case(world)
    review_project = world.site.review_projects[world.site.review_project_of("L2")]
    first = review_project.instruction
    world.site.settings = {"expert_instruction": "Read the title", "show_instruction": False}
    world.turn()
    world.turn()

    assert first == ("<b>Read the whole text</b>", True)
    assert review_project.instruction == ("Read the title", False)
    world.site.settings = {}
    world.turn()
    world.turn()
    assert review_project.instruction == ("", False)


def case(**fields: Any) -> CaseRow:
    return CaseRow(PROJECT, 1, "queued", fields.pop("tier", "L2"), **fields)


def test_only_verdicts_that_may_count_are_offered(world: World):
    policy = read_policy(policy_text(share=0.1))
    proposal = {"proposal": read_answer("fruit"), "proposed_by": "model"}

    assert offered_verdicts(case(**proposal), policy) == ("accept", "fix", "reject", "escalate", "guideline")
    assert offered_verdicts(case(), policy) == ("answer", "reject", "escalate", "guideline")
    assert offered_verdicts(case(**proposal, rule="second look"), policy)[0] == "answer"
    assert "escalate" not in offered_verdicts(case(**proposal, tier="L3"), policy)  # nobody is above
    blind = read_policy(policy_text(l2='blind = true\nactions = ["accept", "reject"]'))
    assert offered_verdicts(case(**proposal), blind) == ("answer", "reject")
    # whoever decides about an objection sees the proposal, also in a blind tier
    assert offered_verdicts(case(**proposal, rule="human review"), blind) == ("accept", "reject")


def read_answer(label: str) -> Any:
    from ml_backend.records import Answer

    return Answer("choices", (label,))


@pytest.mark.parametrize(("with_model", "l2"), [(True, ""), (False, ""), (True, "blind = true")])
def test_every_offered_verdict_counts_when_it_is_given(world: World, with_model: bool, l2: str):
    world.use(policy_text(l2=l2), overlap=2)
    if with_model:
        promote(world)
    tasks = world.site.add(*(f"apple juice {number}" for number in range(5)))
    world.turn()
    for task in tasks:
        world.disagree(task)
    waiting = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    for copy, place in zip(waiting, range(5), strict=True):
        offered = [row["value"] for row in copy.data[VERDICTS]]
        verdict = offered[place % len(offered)]
        label = {"fix": "tool", "answer": "tool"}.get(verdict, "")
        world.review("L2", verdict, label, person=CLEO, task=copy.id, reason="wrong_label")
        world.turn()

    refused = [review.refused for review in world.store.reviews.list_reviews(PROJECT)]
    assert refused == [""] * 5


def test_the_answer_and_the_verdict_stand_before_the_history_and_the_case(world: World):
    policy = read_policy(policy_text(more="[feedback.sure]\noptions = ['yes', 'no']\n"))
    root = ET.fromstring(review_label_config(read_label_config(TEXT_CONFIG), "L2", policy))  # noqa: S314

    names = [element.get("name", "") for element in root.iter() if element.get("name")]
    of_source = [control.name for control in read_label_config(TEXT_CONFIG).controls]
    order = [names.index(name) for name in (*of_source, VERDICT, REASON, "hitl_ask_sure", COMMENT, HISTORY, FACTS)]
    assert order == sorted(order)
    answer, case = root.findall("View")
    assert {element.get("name") for element in case} == {HISTORY, FACTS}
    assert "flex" in root.get("style", "") + answer.get("style", "")  # side by side, so that nothing need be scrolled


def test_the_heading_of_the_reasons_is_shown_only_where_a_verdict_needs_one(world: World):
    root = ET.fromstring(review_label_config(read_label_config(TEXT_CONFIG), "L2", read_policy(policy_text())))  # noqa: S314
    reasons = next(element for element in root.iter("Choices") if element.get("name") == REASON)
    (heading,) = [view for view in root.iter("View") if view.find("Header[@value='Reason']") is not None]

    assert "fix" in heading.get("whenChoiceValue", "")
    assert heading.attrib == {name: value for name, value in reasons.items() if name in heading.attrib}


def test_a_single_reason_is_not_asked_for(world: World):
    world.use(policy_text(more='[reasons]\nother = "It is wrong"\n'), overlap=2)
    policy = world.store.projects.get_project(PROJECT).policy  # type: ignore[union-attr]
    assert list(policy.reasons) == ["other"]
    config = review_label_config(read_label_config(TEXT_CONFIG), "L2", policy)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    world.review("L2", "fix", "fruit", person=CLEO)
    world.turn()

    assert f'name="{REASON}"' not in config  # Label Studio refuses a list of one choice
    (review,) = world.store.reviews.list_reviews(PROJECT)
    assert (review.reason, review.counted) == ("other", True)


def test_hostile_titles_and_labels_stay_text(world: World):
    hostile = 'a "q" & <b>$text</b> $100'
    more = f"[feedback.x]\ntitle = '{hostile}'\noptions = ['{hostile}', 'b']\n[reasons]\none = '{hostile}'\ntwo = 'b'\n"
    policy = read_policy(policy_text(more=more))
    root = ET.fromstring(review_label_config(read_label_config(TEXT_CONFIG), "L2", policy))  # noqa: S314

    shown = {element.get("value") for element in root.iter() if element.tag in ("Header", "Choice")}
    assert hostile.replace("$", "$\u2060") in shown
    assert not any(value and "$" in value.replace("$\u2060", "") for value in shown)
    stored = {element.get("alias") or element.get("value") for element in root.iter("Choice")}
    assert {hostile, "one", "two", "b"} <= stored  # what is stored keeps its name
    verdict = next(element for element in root.iter("Choices") if element.get("name") == VERDICT)
    assert (verdict.get("Value"), verdict.findall("Choice")) == (f"${VERDICTS}", [])


def test_a_long_comment_is_cut_with_a_note(world: World):
    open_case(world)
    world.review("L2", "escalate", person=CLEO, reason="boundary", comment="x" * 2_000_000)
    world.turn()
    world.turn()

    (copy,) = world.site.waiting(world.site.review_project_of("L3"), DAN)
    assert len(json.dumps(copy.data)) < 20_000
    assert "cut: 2,000," in lines(copy)[-1]
    assert COMMENT not in copy.data
    assert copy.data[FACTS]["Tier"] == "L3"


def test_a_review_task_made_before_the_first_model_gets_its_answer_later(world: World):
    task = open_case(world, "apple juice in a box")
    (before,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    promote(world)
    world.turn()
    world.turn()

    (after,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    assert "Proposed answer" not in before.data[FACTS]
    assert after.id == before.id  # somebody may have it open
    assert after.data[FACTS]["Proposed answer"] == "fruit (by model)"
    assert "apple +" in after.data[FACTS]["Reasons for the model's answer"]
    assert [row["value"] for row in after.data[VERDICTS]][:2] == ["accept", "fix"]
    assert [region["value"] for region in world.site.shown(after.id)] == [{"choices": ["fruit"]}]
    written = world.site.writes
    world.turn()
    assert world.site.writes == written  # once
    world.review("L2", "accept", person=CLEO)
    world.turn()
    assert world.final(task) == "fruit"


@pytest.mark.parametrize("begun", ["draft", "review"])
def test_a_review_task_that_somebody_has_begun_stays_as_it_is(world: World, begun: str):
    open_case(world, "apple juice in a box", l2='protocol = "two-reader"\nfirst_action = "1d"')
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    if begun == "draft":
        world.site.draft(copy.id, person=CLEO)
        world.turn()
    else:
        world.review("L2", "answer", "fruit", person=CLEO)
    promote(world)
    world.turn()
    world.turn()

    (now,) = world.site.waiting(world.site.review_project_of("L2"), DAN)
    assert "Proposed answer" not in now.data[FACTS]


def test_who_had_the_task_open_when_the_answer_came_is_counted(world: World):
    task = open_case(world, "apple juice in a box")
    promote(world)
    world.turn()
    world.turn()
    world.review("L2", "answer", "fruit", person=CLEO)  # what was offered before
    world.turn()

    assert world.final(task) == "fruit"


def test_a_blind_review_task_gets_no_answer_later(world: World):
    open_case(world, "apple juice in a box", l2="blind = true")
    promote(world)
    world.turn()
    world.turn()

    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    assert "fruit" not in str([copy.data[FACTS], copy.data[HISTORY], world.site.shown(copy.id)])


def test_urgent_review_tasks_are_served_by_priority_then_by_due_time_and_never_tie():
    cases = [
        CaseRow(PROJECT, task, "queued", "L2", id=task, priority=priority, due_s=due_s, entered_s=1.8e9)
        for priority in (0.0, 1 / 3, 2 / 3, 1.0)
        for due_s in (1.8e9, 1.8e9 + 0.4, 1.8e9 + 60, float("inf"), None)
        for task in (7, 8)
    ]
    scores = [urgency(case) for case in cases]

    by_second = [scores[at : at + 10] for at in range(0, 40, 10)]
    for tier in by_second:
        assert tier[0] == tier[2] < tier[1] == tier[3]  # within a second by number
        assert tier[1] < tier[4] < tier[5] < tier[6] < tier[7] < tier[8] < tier[9]
    assert [max(tier) < min(later) for tier, later in pairwise(by_second)] == [True] * 3
    assert all(0.0 <= score < 1.0 for score in scores)


def test_an_answer_whose_label_was_dropped_is_not_filled_in_for_the_reviewer():
    control, policy = read_label_config(CONTROLS["several choices"][0]).control(), read_policy(policy_text())

    filled_in = [
        prefilled_regions(case(proposal=read_answer(label), proposed_by="consensus"), control, policy)
        for label in ("a", "gone")
    ]

    assert [len(regions) for regions in filled_in] == [1, 0]
