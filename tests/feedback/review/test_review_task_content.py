"""Who may answer at which tier, how many are asked, and where a case goes that they pass on."""

from __future__ import annotations

import pytest

from feedback.review.review_task_content import FACTS, HISTORY
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, FAY, PROJECT, World, open_case, policy_text, skip_to_l2

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

    refusals = {look.person: look.refused for look in world.store.reviews.list_reviews(PROJECT)}
    assert refusals == {EVA: "is not among the people of L2", DAN: "lacks what this case needs: german", CLEO: ""}
    assert world.final(task) == "tool"


def test_a_case_goes_up_tier_by_tier_with_its_reviews(world: World):
    task = open_case(world)
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment="is a nut a tool?")
    world.turn()

    case = world.case(task)
    assert (case.tier, case.state, case.proposed_by) == ("L3", "queued", "L2")
    (copy,) = world.site.waiting(world.site.review_project_of("L3"), DAN)
    assert copy.data[HISTORY][-1]["text"] == "escalate: tool; The guideline does not say; is a nut a tool?"
    world.review("L3", "accept", person=DAN)
    world.turn()
    assert world.final(task) == "tool"
    assert world.trail(task) == ["open", "assign", "escalate", "assign", "decide", "write"]


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


def test_a_panel_of_three_is_asked_by_one_copy_and_two_carry_it(world: World):
    task = open_case(world, l2='protocol = "panel"\npanel = 3')
    for person, label in ((CLEO, "tool"), (DAN, "fruit")):
        world.review("L2", "fix", label, person=person, reason="boundary")
        world.turn()
    assert world.case(task).state == "started"
    world.review("L2", "fix", "tool", person=EVA, reason="boundary")
    world.turn()

    assert world.final(task) == "tool"
    assert len(world.site.review_projects[world.site.review_project_of("L2")].shown) == 1


def test_two_readers_who_differ_are_settled_by_a_third_who_sees_both(world: World):
    task = open_case(world, l2='protocol = "two-reader"')
    review_project = world.site.review_project_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    (blind,) = world.site.waiting(review_project, DAN)
    assert len(blind.data[HISTORY]) == 2  # the second reader is not told what the first one said
    world.review("L2", "fix", "fruit", person=DAN, reason="boundary")
    world.turn()
    (third,) = world.site.waiting(review_project, EVA)

    assert [line["text"].partition(";")[0] for line in third.data[HISTORY][2:]] == ["fix: tool", "fix: fruit"]
    world.review("L2", "fix", "fruit", person=EVA, reason="boundary")
    world.turn()
    assert world.final(task) == "fruit"


def test_the_adjudicator_of_two_blind_readers_sees_only_their_two_answers(world: World):
    task = open_case(world, l2='protocol = "two-reader"\nblind = true')
    review_project = world.site.review_project_of("L2")
    world.review("L2", "answer", "tool", person=CLEO)
    world.review("L2", "answer", "fruit", person=DAN)
    world.turn()
    (third,) = world.site.waiting(review_project, EVA)

    assert [line["text"] for line in third.data[HISTORY]] == ["answer: tool", "answer: fruit"]
    assert third.data[FACTS]["Your task"] == "two reviewers differ; please decide"
    assert "Reason for review" not in third.data[FACTS]
    before = world.site.writes
    world.turn()
    assert world.site.writes == before
    world.review("L2", "answer", "fruit", person=EVA)
    world.turn()
    assert world.final(task) == "fruit"


def test_a_case_that_two_people_reject_carries_that_reason_to_the_next_tier(world: World):
    task = open_case(world, l2='protocol = "two-reader"')
    for person in (CLEO, DAN):
        world.review("L2", "reject", "", person=person, reason="data_error")
    world.turn()
    world.turn()

    assert (world.case(task).tier, world.case(task).why) == ("L3", "2 of 2 reviewers agree: reject")


def test_a_blind_tier_is_shown_nothing_and_simply_answers(world: World):
    task = open_case(world, l2="blind = true")
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)

    assert copy.data[HISTORY] == [{"author": "–", "text": "no earlier answer is shown"}]
    assert "Reason for review" not in copy.data[FACTS]
    assert world.site.review_projects[copy.project].shown[copy.id].result == ()
    world.review("L2", "answer", "tool", person=CLEO)
    world.turn()
    assert world.final(task) == "tool"


@pytest.mark.parametrize(("means", "tier"), [("escalate", "L2"), ("requeue", ""), ("ignore", "")])
def test_a_skip_means_what_the_policy_defines(world: World, means: str, tier: str):
    world.use(policy_text(l1=f'skip_means = "{means}"'))
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.site.skip_source(task, person=ADA)
    world.turn()

    assert [case.tier for case in world.store.cases.list_cases(PROJECT, tasks=[task])] == ([tier] if tier else [])


def test_a_skip_in_a_review_project_may_escalate_too(world: World):
    task = open_case(world, l2='skip_means = "escalate"')
    world.review("L2", "", person=CLEO, skip=True)
    world.turn()

    assert world.case(task).tier == "L3"


def test_a_task_under_review_is_kept_from_the_first_tier(world: World):
    task = skip_to_l2(world)

    assert world.site.next_task(BEN) is None
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary")
    world.turn()
    world.turn()
    assert world.final(task) == "fruit"
    assert world.store.tasks.list_hidden_tasks(PROJECT) == {}


def test_in_the_first_tier_people_who_are_not_listed_count_and_people_of_other_tiers_alone_do_not(world: World):
    world.site.people = {ADA: "ada@example.com", DAN: "dan@example.com", EVA: "eva@example.com"}
    world.use(policy_text(more=PEOPLE))
    first, second = world.site.add("a1 apple red", "a2 pear old")
    world.turn()
    world.site.answer(first, "tool", person=DAN)  # listed, for a later tier
    turn = world.turn()
    assert (turn.answers, turn.settled) == (0, 0)
    assert not world.site.tasks[first].is_labeled
    world.site.answer(first, "fruit", person=EVA)  # not listed
    world.site.answer(second, "fruit", person=FAY)  # without an address in Label Studio, too

    assert world.turn().settled == 2
    uncounted = world.store.uncounted.list_uncounted(PROJECT, "kind")
    assert {row.person: row.why for row in uncounted} == {DAN: "is not among the people of L1"}


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


def test_a_tier_that_the_policy_drops_sends_its_cases_back_to_the_first(world: World):
    task = open_case(world)
    world.use("[tiers.L1]\n" + policy_text().partition("[tiers.L3]")[2])
    world.turn()

    assert world.case(task).tier == "L1"
    assert "recall" in world.trail(task)
