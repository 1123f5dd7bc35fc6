"""A case that is opened again: on request, by chance, by a change of mind, and as a honeypot."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.ingest.signals import SignalHandler
from feedback.review.review_metrics import compute_reviewer_accuracy
from feedback.review.review_task_content import FACTS, HISTORY, KEY
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, open_case, policy_text


def ask(world: World, task: int, key: str = "k1") -> None:
    body = {"project": PROJECT, "task": task, "signal": "human_review", "value": True, "id": key, "note": "I object"}
    SignalHandler(world.store, clock=world.site.seconds)(body)


def test_whoever_asks_for_a_person_gets_one_and_a_proof(world: World):
    world.use(policy_text(more='[rights]\nwithin = "2h"\n'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "tool", person=ADA)
    world.turn()
    ask(world, task)
    world.turn()
    world.turn()

    case = world.case(task)
    assert (case.tier, case.why) == ("L2", "I object")
    assert case.due_s == case.entered_s + 7200
    (proof,) = world.store.records.list_records(PROJECT, "human review")
    assert (proof.body["case"], proof.body["note"], proof.key) == (case.id, "I object", "k1")
    world.review("L2", "fix", "fruit", person=CLEO, reason="wrong_label")
    world.turn()
    assert world.final(task) == "fruit"


def test_asking_again_after_the_answer_begins_another_round(world: World):
    world.use(policy_text())
    (task,) = world.site.add("a1 apple red")
    world.turn()
    for key, person, label in (("k1", CLEO, "fruit"), ("k2", DAN, "tool")):
        ask(world, task, key)
        world.turn()
        world.review("L2", "fix", label, person=person, reason="wrong_label")
        world.turn()

    case = world.case(task)
    assert (case.round, case.state) == (2, "resolved")
    assert case.answer is not None
    assert case.answer.value == ("tool",)
    assert len(world.site.finals) == 2  # one for each round


def test_a_share_of_what_people_decided_is_looked_at_again_by_somebody_who_sees_nothing(world: World):
    world.use(policy_text(share=1.0))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "tool", person=ADA)
    world.turn()
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)

    assert "tool" not in str({name: value for name, value in copy.data.items() if name != "text"})
    assert world.turn().settled == 1  # until then the first decision stands
    world.review("L2", "answer", "fruit", person=CLEO)
    world.turn()
    assert world.final(task) == "fruit"
    for _ in range(3):
        world.turn()
    assert world.case(task).round == 1


def test_a_reviewer_who_changes_their_answer_opens_the_case_again(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    review_project = world.site.review_project_of("L2")
    ((number, annotation),) = world.site.review_annotations[review_project].items()
    region = dict(annotation.result[0]) | {"value": {"choices": ["fruit"]}}
    world.site.review_annotations[review_project][number] = replace(
        annotation, result=(region, *annotation.result[1:]), updated_at=world.site._tick()
    )
    copy = world.site.review_tasks[review_project][annotation.task]
    world.site.review_tasks[review_project][annotation.task] = replace(copy, updated_at=world.site._tick())
    world.turn()

    case = world.case(task)
    assert (case.round, case.state, case.why) == (2, "queued", "the answer that decided it was changed")
    assert case.proposal is not None
    world.review("L2", "accept", person=DAN)
    world.turn()
    assert [result[0]["value"]["choices"][0] for _task, _number, result in world.site.finals.values()] == [
        "tool",
        "fruit",
    ]
    assert world.turn().notes == ()
    assert world.case(task).state == "resolved"


@pytest.mark.slow
def test_honeypots_stand_among_the_cases_and_find_who_errs(world: World):
    text = policy_text(l2='protocol = "panel"\npanel = 2').replace("share = 0.0\n", "share = 0.0\nhoneypots = 1.0\n")
    world.use(
        text.replace("[overlap]\nshare = 0.0\nhoneypots = 1.0", "[overlap]\nshare = 0.0").replace(
            "[audit]\nshare = 0.0\nhoneypots = 1.0", "[audit]\nshare = 0.0"
        ),
        overlap=2,
    )
    first, second = world.site.add("a1 apple red", "a2 pear old")
    world.turn()
    world.disagree(first)
    for person in (CLEO, DAN):
        world.review("L2", "fix", "fruit", person=person, reason="boundary")
    world.turn()
    assert world.final(first) == "fruit"  # two people alike: now it is known
    world.disagree(second)
    review_project = world.site.review_project_of("L2")
    waiting = world.site.waiting(review_project, EVA)
    pots = [task for task in waiting if task.data["text"] == "a1 apple red"]

    assert len(waiting) == 2
    assert len(pots) == 1
    assert pots[0].data[KEY].startswith("case-")
    world.turn()  # and it is not cleared away
    world.review("L2", "answer", "tool", person=EVA, task=pots[0].id)
    world.turn()
    (look,) = [review for review in world.store.reviews.list_reviews(PROJECT) if review.round == 0]
    assert (look.person, look.counted) == (EVA, False)
    assert world.case(first).round == 1
    (eva,) = [
        case
        for case in compute_reviewer_accuracy(
            world.store.cases.list_cases(PROJECT), world.store.reviews.list_reviews(PROJECT)
        )
        if case.person == EVA
    ]
    assert (eva.compared, eva.upheld.value) == (1, 0.0)


@pytest.mark.slow
def test_a_honeypot_looks_like_a_second_look(world: World):
    world.use(
        policy_text(share=1.0, l2='title = "Desk"\nresolve = "4h"').replace(
            "[second_look]\nshare = 1.0", "[second_look]\nshare = 1.0\nhoneypots = 1.0"
        ),
        overlap=2,
    )
    tasks = world.site.add("a1 apple red", "a2 pear old", "a3 plum blue")
    world.turn()
    for task in tasks[:2]:
        for person in (ADA, BEN):
            world.site.answer(task, "fruit", person=person)
        world.turn()
    for _ in tasks[:2]:
        world.review("L2", "answer", "fruit", person=CLEO)
        world.turn()
    known = {case.id for case in world.store.cases.list_cases(PROJECT, states=("resolved",))}
    world.store.reviews.save_reviews(
        [
            replace(look, annotation=9000 + look.annotation, person=EVA)
            for look in world.store.reviews.list_reviews(PROJECT)
        ]
    )  # two people alike
    for person in (ADA, BEN):
        world.site.answer(tasks[2], "fruit", person=person)
    for _ in range(2):
        world.turn()
    copies = world.site.waiting(world.site.review_project_of("L2"), DAN)
    (look,) = [row for row in copies if row.data["text"] == "a3 plum blue"]
    (pot,) = [row for row in copies if row.data["text"] != "a3 plum blue"]

    assert set(pot.data) == set(look.data)
    assert set(pot.data[FACTS]) == set(look.data[FACTS])
    assert pot.data[HISTORY] == look.data[HISTORY]
    assert pot.data[KEY] in {f"case-{number}-1-L2-1" for number in known}
