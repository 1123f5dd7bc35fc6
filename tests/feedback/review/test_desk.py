"""Cases through their tiers: opened, handed out, decided, escalated, brought back; exclusions, clocks and kills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from feedback import events
from feedback.connecting import connect
from feedback.errors import NotConnected
from feedback.review.accuracy import reviewers
from feedback.review.tiers import FACTS, HISTORY, KEY
from feedback.settings import Settings
from feedback.signals import SignalDoor
from feedback.store import open_store
from ml_backend.labelstudio.client import Client
from tests.feedback.review.world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, policy_text
from tests.support import stores


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(stores.empty(tmp_path / "hitl.sqlite3"))
    store.set_secret("draws", "the same draws in every run")
    made = World(store, tmp_path / "models")
    yield made
    store.close()


def open_case(world: World, **policy: object) -> int:
    """A task over which two people differ, waiting at L2."""
    world.use(policy_text(**policy), overlap=2)  # type: ignore[arg-type]
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    return task


def test_people_who_differ_hand_the_task_to_the_next_tier(world: World):
    task = open_case(world)

    case = world.case(task)
    assert (case.state, case.tier, case.rule) == ("queued", "L2", "disagreement")
    (copy,) = world.site.waiting(world.site.room_of("L2"), CLEO)
    assert copy.data["text"] == "a1 apple red"
    assert copy.data[FACTS]["Why here"] == "2 people differ, and no more are asked"
    assert [line["said"] for line in copy.data[HISTORY]] == ["fruit", "tool"]
    assert copy.data[HISTORY][0]["who"].startswith("L1, person 1, 2026-01-01")
    assert "example.com" not in str(copy.data)


def test_a_reviewers_fix_goes_back_to_the_source_as_ground_truth_and_is_learned_from(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label", comment="see page 3")
    world.turn()

    case = world.case(task)
    assert (case.state, world.final(task)) == ("resolved", "tool")
    assert world.trail(task) == ["open", "place", "decide", "write"]
    assert world.turn().settled == 1
    (look,) = world.store.looks(PROJECT)
    assert (look.counted, look.reason, look.comment, look.lead_time_s) == (True, "wrong_label", "see page 3", 30.0)


def test_nothing_is_done_twice_by_turns_without_news(world: World):
    task = open_case(world)
    world.turn()
    before = (world.site.writes, world.case(task))
    world.turn()

    assert (world.site.writes, world.case(task)) == before
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    for _ in range(3):
        world.turn()
    assert len(world.site.finals) == 1
    assert len(world.trail(task)) == 4


def test_nobody_decides_their_own_case(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()

    (look,) = world.store.looks(PROJECT)
    assert not look.counted
    assert "nobody decides their own case" in look.refused
    assert world.case(task).state == "queued"
    (again,) = world.site.waiting(world.site.room_of("L2"), CLEO)  # open again at once
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary", task=again.id)
    world.turn()
    assert world.final(task) == "fruit"


def test_a_tier_may_let_people_decide_their_own_cases(world: World):
    task = open_case(world, l2="own_cases = true")
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()

    assert world.final(task) == "tool"


@pytest.mark.parametrize(
    ("verdict", "label", "reason", "words"),
    [
        ("fix", "", "boundary", "gives no answer"),
        ("fix", "tool", "", "gives no reason"),
        ("fix", "tool", "because", "unknown reason 'because'"),
        ("accept", "tool", "", "nothing was shown"),
        ("", "tool", "", "gives no verdict"),
        ("dunno", "tool", "", "says 'dunno'"),
    ],
)
def test_a_verdict_that_contradicts_itself_does_not_count_and_the_case_opens_again(
    world: World, verdict: str, label: str, reason: str, words: str
):
    task = open_case(world)
    world.review("L2", verdict, label, person=CLEO, reason=reason)
    world.turn()

    assert world.trail(task)[-1] == "refuse"
    assert words in world.notes(task)[-1]
    assert [one.id for one in world.site.waiting(world.site.room_of("L2"), DAN)] == [world.case(task).review_task]


PEOPLE = """
[people."ada@example.com"]
tiers = ["L1"]
[people."ben@example.com"]
tiers = ["L1"]
[people."cleo@example.com"]
tiers = ["L1", "L2"]
skills = ["german"]
[people."dan@example.com"]
tiers = ["L2", "L3"]
skills = ["english"]
"""


def test_who_is_not_of_the_tier_or_lacks_its_skill_does_not_count(world: World):
    world.site.people = {
        BEN: "ben@example.com",
        ADA: "ada@example.com",
        CLEO: "Cleo@example.com",
        DAN: "dan@example.com",
        EVA: "eva@example.com",
    }
    task = open_case(world, l2='skills = ["german"]', more=PEOPLE)
    for person in (EVA, DAN, CLEO):
        world.review("L2", "fix", "tool", person=person, reason="boundary")
        world.turn()

    said = {look.person: look.refused for look in world.store.looks(PROJECT)}
    assert said == {EVA: "is not among the people of L2", DAN: "lacks what this case needs: german", CLEO: ""}
    assert world.final(task) == "tool"


def test_a_case_goes_up_tier_by_tier_with_what_was_said(world: World):
    task = open_case(world)
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment="is a nut a tool?")
    world.turn()

    case = world.case(task)
    assert (case.tier, case.state, case.proposed_by) == ("L3", "queued", "L2")
    (copy,) = world.site.waiting(world.site.room_of("L3"), DAN)
    assert copy.data[HISTORY][-1]["said"] == "escalate: tool; The guideline does not say; is a nut a tool?"
    world.review("L3", "accept", person=DAN)
    world.turn()
    assert world.final(task) == "tool"
    assert world.trail(task) == ["open", "place", "escalate", "place", "decide", "write"]


def test_what_nobody_can_answer_is_closed_without_an_answer_and_asked_no_more(world: World):
    task = open_case(world)
    world.review("L2", "reject", person=CLEO, reason="data_error")
    world.turn()
    assert world.case(task).proposal is None
    world.review("L3", "reject", person=DAN, reason="data_error")
    world.turn()
    turn = world.turn()

    assert (world.case(task).state, world.case(task).answer, world.site.finals) == ("resolved", None, {})
    assert turn.settled == 0
    assert world.site.next_task(EVA) is None


def test_a_question_stops_the_clock_until_it_is_answered(world: World):
    task = open_case(world, l2='resolve = "1h"\non_breach = "escalate"')
    world.review("L2", "guideline", person=CLEO, reason="guideline_gap", comment="what of nuts?")
    world.turn()
    world.site.pass_time(86_400)
    world.turn()

    case = world.case(task)
    assert (case.state, case.tier, case.breaches) == ("waiting", "L2", 0)


def test_a_panel_of_three_is_asked_by_one_copy_and_two_carry_it(world: World):
    task = open_case(world, l2='protocol = "panel"\npanel = 3')
    for person, label in ((CLEO, "tool"), (DAN, "fruit")):
        world.review("L2", "fix", label, person=person, reason="boundary")
        world.turn()
    assert world.case(task).state == "started"
    world.review("L2", "fix", "tool", person=EVA, reason="boundary")
    world.turn()

    assert world.final(task) == "tool"
    assert len(world.site.rooms[world.site.room_of("L2")].copies) == 1


def test_two_readers_who_differ_are_settled_by_a_third_who_sees_both(world: World):
    task = open_case(world, l2='protocol = "two-reader"')
    room = world.site.room_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    (blind,) = world.site.waiting(room, DAN)
    assert len(blind.data[HISTORY]) == 2  # the second reader is not told what the first one said
    world.review("L2", "fix", "fruit", person=DAN, reason="boundary")
    world.turn()
    (third,) = world.site.waiting(room, EVA)

    assert [line["said"].partition(";")[0] for line in third.data[HISTORY][2:]] == ["fix: tool", "fix: fruit"]
    world.review("L2", "fix", "fruit", person=EVA, reason="boundary")
    world.turn()
    assert world.final(task) == "fruit"


def test_a_blind_tier_is_shown_nothing_and_simply_answers(world: World):
    task = open_case(world, l2="blind = true")
    (copy,) = world.site.waiting(world.site.room_of("L2"), CLEO)

    assert copy.data[HISTORY] == [{"who": "–", "said": "nothing was said before"}]
    assert "Why here" not in copy.data[FACTS]
    assert world.site.rooms[copy.project].copies[copy.id].result == ()
    world.review("L2", "answer", "tool", person=CLEO)
    world.turn()
    assert world.final(task) == "tool"


@pytest.mark.parametrize(("means", "tier"), [("escalate", "L2"), ("requeue", ""), ("ignore", "")])
def test_a_skip_means_what_the_policy_says(world: World, means: str, tier: str):
    world.use(policy_text(l1=f'skip_means = "{means}"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.skip_source(task, person=ADA)
    world.turn()

    assert [case.tier for case in world.store.cases(PROJECT, tasks=[task])] == ([tier] if tier else [])


def test_a_skip_in_a_review_project_may_escalate_too(world: World):
    task = open_case(world, l2='skip_means = "escalate"')
    world.review("L2", "", person=CLEO, skip=True)
    world.turn()

    assert world.case(task).tier == "L3"


def test_a_task_under_review_is_kept_from_the_first_tier(world: World):
    world.use(policy_text(l1='skip_means = "escalate"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.skip_source(task, person=ADA)
    world.turn()
    world.turn()

    assert world.site.next_task(BEN) is None
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()
    world.turn()
    assert world.final(task) == "fruit"
    assert world.store.kept_back(PROJECT) == {}


def test_in_the_first_tier_too_only_its_people_count_and_others_are_asked(world: World):
    world.site.people = {ADA: "ada@example.com", DAN: "dan@example.com", EVA: "eva@example.com"}
    world.use(policy_text(more=PEOPLE))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    for person in (DAN, EVA):  # one is of other tiers, one is nobody
        world.site.answer(task, "tool", person=person)
        turn = world.turn()
        assert (turn.answers, turn.settled) == (0, 0)
        assert world.site.next_task(ADA) == task
    world.site.answer(task, "fruit", person=ADA)

    assert world.turn().settled == 1
    reasons = {record.body["person"]: record.body["why"] for record in world.store.records(PROJECT, "not counted")}
    assert reasons == {DAN: "is not among the people of L1", EVA: "is not among the people of L1"}


def test_a_rule_may_want_a_skill_in_the_first_tier(world: World):
    world.site.people = {ADA: "ada@example.com", CLEO: "cleo@example.com"}
    rules = '[[routing]]\nid = "german"\nwhen = { data.text.contains = "apfel" }\nto = "L1"\nskills = ["german"]\n'
    world.use(policy_text(more=f'{rules}[[routing]]\nid = "default"\nto = "L1"\n{PEOPLE}'))
    german, english = world.site.add("ein apfel", "an apple")
    world.turn()
    world.turn()
    for task in (german, english):
        world.site.answer(task, "fruit", person=ADA)
    assert world.turn().answers == 1
    world.site.answer(german, "fruit", person=CLEO)

    assert world.turn().settled == 2


# clocks


def test_a_first_tier_clock_that_runs_out_escalates_with_a_warning_before(world: World):
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"\nat_risk = 0.5'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    assert (world.case(task).tier, world.case(task).state) == ("L1", "queued")
    world.site.pass_time(6 * 60)
    world.turn()
    world.site.pass_time(6 * 60)
    world.turn()

    case = world.case(task)
    assert (case.tier, case.breaches) == ("L2", 1)
    assert world.trail(task) == ["open", "warn", "escalate", "place"]
    assert case.why == "the resolve clock has run out"


def test_an_answer_in_time_settles_a_first_tier_case(world: World):
    world.use(policy_text(l1='resolve = "10m"\non_breach = "escalate"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()

    assert (world.case(task).state, world.trail(task)) == ("resolved", ["open", "settle"])
    assert world.site.finals == {}  # it stands there already


def test_a_draft_stops_the_clock_of_the_first_action(world: World):
    task = open_case(world, l2='first_action = "5m"\non_breach = "escalate"')
    copy = world.case(task).review_task
    assert copy is not None
    world.site.pass_time(4 * 60)
    world.site.begun[copy] = (CLEO, world.site.seconds())
    world.site.pass_time(10 * 60)
    world.turn()

    case = world.case(task)
    assert (case.state, case.tier, case.breaches) == ("started", "L2", 0)


def test_a_breach_gives_the_case_to_others_by_a_new_copy(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    world.site.pass_time(11 * 60)
    world.turn()

    case = world.case(task)
    assert case.review_task not in (None, old)
    assert (case.state, case.tier, case.breaches, case.copies) == ("queued", "L2", 1, 2)
    world.turn()
    assert [one.id for one in world.site.waiting(world.site.room_of("L2"), CLEO)] == [case.review_task]


def test_an_answer_on_the_old_copy_still_counts(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.loop.turn(PROJECT, poll=False)  # the clock is read before the answer is
    assert world.case(task).copies == 2
    world.turn()

    assert world.final(task) == "tool"


def test_a_breach_at_the_last_tier_is_told_once(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "escalate"', l3='resolve = "10m"\non_breach = "escalate"')
    for _ in range(4):
        world.site.pass_time(11 * 60)
        world.turn()

    assert (world.case(task).tier, world.case(task).breaches) == ("L3", 2)
    assert world.trail(task).count("warn") == 1


# requests and second looks


def ask(world: World, task: int, key: str = "k1") -> None:
    body = {"project": PROJECT, "task": task, "signal": "human_review", "value": True, "id": key, "note": "I object"}
    SignalDoor(world.store, clock=world.site.seconds)(body)


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
    (proof,) = world.store.records(PROJECT, "human review")
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
    (copy,) = world.site.waiting(world.site.room_of("L2"), CLEO)

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
    room = world.site.room_of("L2")
    ((number, said),) = world.site.said[room].items()
    region = dict(said.result[0]) | {"value": {"choices": ["fruit"]}}
    world.site.said[room][number] = replace(said, result=(region, *said.result[1:]), updated_at=world.site._tick())
    copy = world.site.copied[room][said.task]
    world.site.copied[room][said.task] = replace(copy, updated_at=world.site._tick())
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
    room = world.site.room_of("L2")
    waiting = world.site.waiting(room, EVA)
    pots = [one for one in waiting if one.data["text"] == "a1 apple red"]

    assert len(waiting) == 2
    assert len(pots) == 1
    assert pots[0].data[KEY].startswith("case-")
    world.turn()  # and it is not cleared away
    world.review("L2", "answer", "tool", person=EVA, task=pots[0].id)
    world.turn()
    (look,) = [one for one in world.store.looks(PROJECT) if one.round == 0]
    assert (look.person, look.counted) == (EVA, False)
    assert world.case(first).round == 1
    (eva,) = [one for one in reviewers(world.store.cases(PROJECT), world.store.looks(PROJECT)) if one.person == EVA]
    assert (eva.compared, eva.accuracy.value) == (1, 0.0)


# trouble


def test_a_deleted_task_withdraws_its_case_and_its_copy(world: World):
    task = open_case(world)
    del world.site.tasks[task]
    for number, one in list(world.site.annotations.items()):
        if one.task == task:
            del world.site.annotations[number]
    world.store.append(events.gone_tasks(PROJECT, [task]))
    world.turn()

    assert world.case(task).state == "withdrawn"
    assert world.site.waiting(world.site.room_of("L2"), CLEO) == []


@pytest.mark.parametrize("where", ["put_in after", "write_final after", "room after"])
def test_a_kill_after_any_request_leaves_one_copy_and_one_answer(world: World, where: str):
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.fails = {where}
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        world.site.answer(task, label, person=person)
        try:
            world.turn()
        except KeyboardInterrupt:
            world.site.fails = set()
    world.turn()
    world.turn()
    room = world.site.room_of("L2")
    assert len(world.site.waiting(room, CLEO)) == 1
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    try:
        world.turn()
    except KeyboardInterrupt:
        world.site.fails = set()
    world.turn()

    assert (world.case(task).state, len(world.site.finals), len(world.site.rooms)) == ("resolved", 1, 1)


def test_a_closed_copy_of_an_open_case_is_opened_again(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()
    room, copy = world.site.room_of("L2"), world.case(task).review_task
    assert copy is not None
    world.site.copied[room][copy] = replace(
        world.site.copied[room][copy], is_labeled=True, updated_at=world.site._tick()
    )
    world.turn()

    assert [one.id for one in world.site.waiting(room, CLEO)] == [copy]


def test_a_copy_that_somebody_deleted_is_put_in_again(world: World):
    task = open_case(world)
    room, copy = world.site.room_of("L2"), world.case(task).review_task
    assert copy is not None
    del world.site.copied[room][copy]
    world.store.append(events.gone_tasks(room, [copy]))
    world.turn()

    (again,) = world.site.waiting(room, CLEO)
    assert (again.id, world.case(task).copies) == (world.case(task).review_task, 2)


def test_a_copy_that_was_answered_meanwhile_is_not_removed(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "reassign"')
    old = world.case(task).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.loop.turn(PROJECT, poll=False)  # the answer has not come yet: the old copy is about to be removed
    world.turn()

    assert old in world.site.copied[world.site.room_of("L2")]
    assert world.final(task) == "tool"


def test_a_number_that_passed_to_another_case_brings_no_answer_to_the_first(world: World):
    """Label Studio on SQLite gives the number of a deleted copy to the next one."""
    world.use(policy_text(l2='resolve = "10m"\non_breach = "reassign"'), overlap=2)
    first, second = world.site.add("a1 apple red", "a2 pear old")
    world.turn()
    world.disagree(first)
    old = world.case(first).review_task
    assert old is not None
    world.site.pass_time(11 * 60)
    world.site.reuse = {"a2 pear old": old}
    world.site.answer(second, "fruit", person=ADA)
    world.site.answer(second, "tool", person=BEN)
    world.turn()
    assert world.case(second).review_task == old
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary", task=old)
    world.turn()

    assert (world.case(second).state, world.case(first).state) == ("resolved", "queued")


# webhooks of review projects


def test_what_a_reviewer_says_is_read_in_the_turn_of_the_source(world: World):
    task = open_case(world)
    room = world.site.room_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    while (work := world.store.claim("test", lease_s=9.0)) is not None:
        world.store.done(work)
    told = [one for copy, given in world.site.changed(room, "") for one in events.of_task(copy, given)]
    world.store.append(told)  # as a webhook does

    assert [(row.project, row.kind) for row in world.store.works() if row.state == "wanted"] == [(PROJECT, "turn")]
    world.loop.turn(PROJECT, poll=False)
    assert world.final(task) == "tool"
    assert world.site.heard == {room}
    assert [row.id for row in world.store.projects()] == [PROJECT]


def test_a_review_project_cannot_be_connected_itself(world: World):
    open_case(world)

    with pytest.raises(NotConnected, match="where project 7 is reviewed"):
        connect(Settings(), world.store, cast(Client, None), world.site.room_of("L2"), now_s=0.0)


def test_a_review_project_that_may_have_no_webhook_is_polled_and_says_so(world: World):
    world.site.fails = {"listen"}
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    world.site.answer(task, "tool", person=BEN)
    notes = world.turn().notes
    world.site.fails = set()
    world.turn()

    assert any("only polled" in note for note in notes)
    assert world.site.heard == {world.site.room_of("L2")}
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    assert world.final(task) == "tool"


def test_copies_that_a_kill_left_without_their_case_are_adopted_with_what_was_said(world: World):
    world.use(policy_text(), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    world.site.answer(task, "tool", person=BEN)
    world.site.fails = {"put_in after"}
    with pytest.raises(KeyboardInterrupt):
        world.turn()
    world.site.fails = set()
    room = world.site.room_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")  # before anybody knows which case it is of
    world.turn()
    world.turn()

    assert len(world.site.rooms[room].copies) == 1
    assert world.final(task) == "tool"


def test_an_import_that_was_cut_short_is_completed_so_that_reviewers_see_what_was_proposed(world: World):
    task = open_case(world, l3='protocol = "panel"\npanel = 2')
    world.site.fails = {"put_in half"}
    world.review("L2", "escalate", "tool", person=CLEO, reason="boundary")
    notes = world.turn().notes
    world.site.fails = set()
    world.turn()

    assert any("database is locked" in note for note in notes)
    room, copy = world.site.room_of("L3"), world.case(task).review_task
    assert copy is not None
    assert [one.id for one in world.site.waiting(room, DAN)] == [copy]
    assert world.site.shown(copy)[0]["value"] == {"choices": ["tool"]}
    for person in (DAN, EVA):
        world.review("L3", "accept", person=person)
    world.turn()
    assert world.final(task) == "tool"


def test_nobody_is_asked_again_while_an_answer_is_unread(world: World, monkeypatch: pytest.MonkeyPatch):
    """A webhook may bring it in the middle of a turn: here after the answers were read."""
    task = open_case(world, l2='protocol = "panel"\npanel = 2')
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    room, before = world.site.room_of("L2"), world.site.writes

    def emails() -> dict[int, str]:
        world.review("L2", "fix", "tool", person=DAN, reason="boundary")
        told = [one for shown, given in world.site.changed(room, "") for one in events.of_task(shown, given)]
        world.store.append(told)
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(world.site, "emails", emails)
        world.loop.turn(PROJECT, poll=False)

    assert world.site.waiting(room, EVA) == []
    assert world.site.writes == before
    world.turn()
    assert world.final(task) == "tool"


def test_label_studio_being_away_stops_review_and_not_the_turn(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.site.down = True
    turn = world.turn()
    world.site.down = False
    world.turn()

    assert any("review goes on later" in note for note in turn.notes)
    assert world.final(task) == "tool"


def test_every_copy_names_its_case(world: World):
    task = open_case(world)
    (copy,) = world.site.waiting(world.site.room_of("L2"), CLEO)

    assert copy.data[KEY] == f"case-{world.case(task).id}-1-L2-1"


def test_a_tier_that_the_policy_drops_sends_its_cases_back_to_the_first(world: World):
    task = open_case(world)
    world.use("[tiers.L1]\n" + policy_text().partition("[tiers.L3]")[2])
    world.turn()

    assert world.case(task).tier == "L1"
    assert "recall" in world.trail(task)
