"""A case from its opening to its answer: handed on, decided or refused, brought back, and heard of soon."""

from __future__ import annotations

from typing import cast

import pytest

from feedback.errors import NotConnected
from feedback.project.connect import connect
from feedback.review.review_task_content import FACTS, HISTORY
from feedback.settings import Settings
from feedback.store.log import events
from ml_backend.labelstudio.client import Client
from tests.support.review_world import ADA, BEN, CLEO, DAN, PROJECT, World, answer_differently, open_case, policy_text


def test_people_who_differ_hand_the_task_to_the_next_tier(world: World):
    task = open_case(world)

    case = world.case(task)
    assert (case.state, case.tier, case.rule) == ("queued", "L2", "disagreement")
    (copy,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)
    assert copy.data["text"] == "a1 apple red"
    assert copy.data[FACTS]["Reason for review"] == "2 people differ, and no more are asked"
    assert [line["text"] for line in copy.data[HISTORY]] == ["fruit", "tool"]
    assert copy.data[HISTORY][0]["author"].startswith("L1, person 1, 2026-01-01")
    assert "example.com" not in str(copy.data)


def test_a_reviewers_fix_goes_back_to_the_source_as_ground_truth_and_is_learned_from(world: World):
    task = open_case(world)
    world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label", comment="see page 3")
    world.turn()

    case = world.case(task)
    assert (case.state, world.final(task)) == ("resolved", "tool")
    assert world.trail(task) == ["open", "assign", "decide", "write"]
    assert world.turn().settled == 1
    (look,) = world.store.reviews.list_reviews(PROJECT)
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

    (look,) = world.store.reviews.list_reviews(PROJECT)
    assert not look.counted
    assert "nobody decides their own case" in look.refused
    assert world.case(task).state == "queued"
    (new_task,) = world.site.waiting(world.site.review_project_of("L2"), CLEO)  # open again at once
    world.review("L2", "fix", "fruit", person=CLEO, reason="boundary", task=new_task.id)
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
        ("dunno", "tool", "", "verdict 'dunno' is not allowed"),
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
    assert [row.id for row in world.site.waiting(world.site.review_project_of("L2"), DAN)] == [
        world.case(task).review_task
    ]


def test_a_review_is_read_in_the_turn_of_the_source_project(world: World):
    task = open_case(world)
    review_project = world.site.review_project_of("L2")
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    while (claim := world.store.jobs.claim_job("test", lease_s=9.0)) is not None:
        world.store.jobs.finish_job(claim)
    received = [
        event
        for copy, given in world.site.list_changed_tasks(review_project, "")
        for event in events.events_from_task(copy, given)
    ]
    world.store.append(received)  # as a webhook does

    assert [(row.project, row.kind) for row in world.store.jobs.list_jobs() if row.state == "wanted"] == [
        (PROJECT, "turn")
    ]
    world.loop.turn(PROJECT, poll=False)
    assert world.final(task) == "tool"
    assert world.site.webhook_projects == {review_project}
    assert [row.id for row in world.store.projects.list_projects()] == [PROJECT]


def test_a_review_project_cannot_be_connected_itself(world: World):
    open_case(world)

    with pytest.raises(NotConnected, match="is a review project of project 7"):
        connect(Settings(), world.store, cast(Client, None), world.site.review_project_of("L2"), now_s=0.0)


def test_a_review_project_without_a_webhook_is_polled_with_a_note(world: World):
    world.site.fails = {"register_review_webhook"}
    task = answer_differently(world)
    notes = world.turn().notes
    world.site.fails = set()
    world.turn()

    assert any("only polled" in note for note in notes)
    assert world.site.webhook_projects == {world.site.review_project_of("L2")}
    world.review("L2", "fix", "tool", person=CLEO, reason="boundary")
    world.turn()
    assert world.final(task) == "tool"


def test_a_question_stops_the_clock_until_it_is_answered(world: World):
    task = open_case(world, l2='resolve = "1h"\non_breach = "escalate"')
    world.review("L2", "guideline", person=CLEO, reason="guideline_gap", comment="what of nuts?")
    world.turn()
    world.site.pass_time(86_400)
    world.turn()

    case = world.case(task)
    assert (case.state, case.tier, case.breaches) == ("waiting", "L2", 0)


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
    assert world.trail(task) == ["open", "warn", "escalate", "assign"]
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
    world.site.drafts[copy] = (CLEO, world.site.seconds())
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
    assert [row.id for row in world.site.waiting(world.site.review_project_of("L2"), CLEO)] == [case.review_task]


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


def test_a_breach_at_the_last_tier_is_notified_once(world: World):
    task = open_case(world, l2='resolve = "10m"\non_breach = "escalate"', l3='resolve = "10m"\non_breach = "escalate"')
    for _ in range(4):
        world.site.pass_time(11 * 60)
        world.turn()

    assert (world.case(task).tier, world.case(task).breaches) == ("L3", 2)
    assert world.trail(task).count("warn") == 1
