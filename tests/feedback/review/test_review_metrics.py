"""Figures: what each tier did, how often the model was wrong, and who errs; found, not averaged away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from feedback.policy import read_policy
from feedback.reports.case_report import case_report
from feedback.reports.review_report import forecast_tiers, measure_review
from feedback.review.review_metrics import compute_label_errors, compute_tier_metrics
from feedback.review.reviewer_accuracy import compute_reviewer_accuracy
from feedback.store import CaseEvent, CaseRow, OverrideRow, ReviewRow, open_store
from ml_backend.records import Answer
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, policy_text

SPAM, HAM = Answer("choices", ("spam",)), Answer("choices", ("ham",))
POLICY = read_policy('[tiers.L1]\n[tiers.L2]\n[people."ann@x.org"]\ntiers = ["L2"]\nwage = 60.0\n')


def case(number: int, **more: object) -> CaseRow:
    made = CaseRow(PROJECT, number, "resolved", "L2", id=number, answer=SPAM, opened_s=0.0, resolved_s=600.0)
    return replace(made, **more)


def look(case_id: int, person: int, answer: Answer | None = SPAM, **more: object) -> ReviewRow:
    made = ReviewRow(
        "9", case_id * 100 + person, case_id, 1, "L2", 0.0, person, "fix", answer, "r", "", {}, None, "", 1.0, 60.0,
        counted=True, refused="",
    )  # fmt: skip
    return replace(made, **more)


def trail(*steps: tuple[float, str, str]) -> list[CaseEvent]:
    return [CaseEvent(at_s, event, "", tier) for at_s, event, tier in steps]


def test_a_stay_is_timed_from_its_coming_to_its_decision():
    steps = trail(
        (0, "open", "L1"), (60, "start", "L1"), (100, "escalate", "L2"), (130, "start", "L2"), (300, "decide", "L2")
    )
    first, second = compute_tier_metrics([case(1)], {1: steps}, [look(1, 5)], [], POLICY, emails={5: "Ann@x.org"})

    assert (first.wait_s, first.escalated.value, first.decide_s) == (60, 1.0, None)
    assert (second.wait_s, second.decide_s, second.escalated.value) == (30, 200, 0.0)
    assert (second.resolve_s, second.reviews_per_hour, second.cost) == (600.0, 60.0, 1.0)  # a minute of 60 an hour


def test_each_round_of_a_case_is_timed_from_its_own_beginning():
    day = 86_400
    steps = trail(
        (0, "open", "L2"), (50, "decide", "L2"), (60, "write", "L2"), (day, "reopen", "L2"), (day + 90, "decide", "L2"),
        (day + 100, "write", "L2"),
    )  # fmt: skip
    reopened = case(1, round=2, resolved_s=day + 100.0)
    (_, second) = compute_tier_metrics([reopened], {1: steps}, [], [], POLICY, emails={})

    assert (second.cases, second.resolve_s, second.decide_s) == (2, 80.0, 70.0)


def test_whoever_has_no_wage_costs_what_the_others_do():
    steps = trail((0, "open", "L2"), (300, "decide", "L2"))
    (_, second) = compute_tier_metrics(
        [case(1)], {1: steps}, [look(1, 5), look(1, 6)], [], POLICY, emails={5: "ann@x.org"}
    )

    assert second.cost == 2.0  # two minutes of 60 an hour


def test_every_stay_in_which_a_clock_ran_out_counts_once():
    late = CaseEvent(700, "warn", "queued", "L2", body={"breached": True})
    gone = CaseEvent(900, "escalate", "queued", "L2", body={"breached": True})
    steps = {
        1: [*trail((0, "open", "L2")), late, late],
        2: [*trail((0, "open", "L1")), gone],
        3: trail((0, "open", "L2"), (9, "decide", "L2")),
    }
    first, second = compute_tier_metrics([case(1), case(2), case(3)], steps, [], [], POLICY, emails={})

    assert (first.breached.value, second.breached.value) == (1.0, pytest.approx(1 / 3))
    assert second.n_open == 2


def test_figures_fall_apart_by_segment():
    steps = {1: trail((0, "open", "L2"), (10, "decide", "L2")), 2: trail((0, "open", "L2"), (90, "decide", "L2"))}
    cases = [case(1, segment="de"), case(2, segment="en")]
    found = compute_tier_metrics(cases, steps, [], [], POLICY, emails={}, by_segment=True)

    assert [(row.segment, row.decide_s) for row in found if row.tier == "L2"] == [("", 50), ("de", 10), ("en", 90)]


def test_the_models_errors_and_the_reviewers_stand_in_each_tier_and_segment():
    def row(number: int, shown: Answer, tier: str, segment: str) -> OverrideRow:
        changed = shown != SPAM
        return OverrideRow(
            PROJECT, number, number, 1, shown, 0.9, "m", SPAM, changed, False, "", segment, tier, "p", number, ""
        )

    cases = [case(1, segment="de"), case(2, segment="en")]
    steps = {number: trail((0, "open", "L2"), (10, "decide", "L2")) for number in (1, 2)}
    above = [look(1, 9, SPAM, tier="L3"), look(2, 9, SPAM, tier="L3")]
    looks = [look(1, 5, SPAM), look(2, 5, HAM), *above]
    rows = [row(1, SPAM, "L2", "de"), row(2, HAM, "L2", "en"), row(3, HAM, "L1", "de")]
    found = compute_tier_metrics(cases, steps, looks, rows, POLICY, emails={}, by_segment=True)
    at = {(item.tier, item.segment): item for item in found}

    assert [(label.label, label.false_negative.value) for label in at["L2", "de"].labels] == [("spam", 0.0)]
    assert {label.label: label.false_negative.value for label in at["L2", "en"].labels}["spam"] == 1.0
    assert {label.label: label.false_negative.value for label in at["L2", ""].labels}["spam"] == 0.5
    # held against the tier above, though only the looks of this tier are judged
    right = {key: [(person.person, person.upheld.value) for person in at[key].people] for key in at if key[0] == "L2"}
    assert right == {("L2", ""): [(5, 0.5)], ("L2", "de"): [(5, 1.0)], ("L2", "en"): [(5, 0.0)]}
    assert at["L1", ""].people == ()


def test_the_models_errors_are_counted_by_label():
    def row(number: int, shown: Answer, given: Answer, *, blind: bool) -> OverrideRow:
        return OverrideRow(
            PROJECT, number, number, 1, shown, 0.9, "m", given, shown != given, blind, "", "", "L1", "p", number, ""
        )  # fmt: skip

    rows = [row(1, SPAM, HAM, blind=False), row(2, SPAM, SPAM, blind=False), row(3, HAM, SPAM, blind=True)]
    ham, spam = compute_label_errors(rows)

    assert (ham.label, spam.label) == ("ham", "spam")
    assert (spam.false_positive.value, spam.false_negative.value) == (1.0, 0.5)
    only_blind = compute_label_errors(row for row in rows if row.blind)
    assert [item.false_negative.value for item in only_blind if item.label == "spam"] == [1.0]


def test_one_who_is_always_wrong_in_a_panel_is_found():
    cases = [case(number) for number in range(1, 21)]
    looks = [look(number, person, SPAM if person < 7 else HAM) for number in range(1, 21) for person in (5, 6, 7)]
    worst, *others = compute_reviewer_accuracy(cases, looks)

    assert (worst.person, worst.upheld.value, worst.compared) == (7, 0.0, 20)
    assert worst.upheld.high < 0.2
    assert all(row.upheld.value == 1.0 for row in others)


def test_nobody_is_confirmed_by_their_own_vote():
    (alone,) = compute_reviewer_accuracy([case(1)], [look(1, 5)])

    assert alone.compared == 0


def test_a_project_is_measured_from_what_happened_in_it(world: World):
    store = world.store
    world.use(policy_text(l1='resolve = "1h"', l2='protocol = "panel"\npanel = 3\nresolve = "1h"'), overlap=2)
    tasks = world.site.add(*(f"a{number} apple red" for number in range(4)))
    world.turn()
    for task in tasks:
        world.site.answer(task, "fruit", person=ADA)
    world.turn()
    for task in tasks:
        world.site.answer(task, "tool", person=BEN)
    world.turn()
    for person, label in ((CLEO, "fruit"), (EVA, "tool"), (DAN, "fruit")):
        for _ in tasks:
            world.review("L2", "fix", label, person=person, reason="boundary")
        world.turn()
    policy = read_policy(policy_text(l2='protocol = "panel"\npanel = 3\nresolve = "1h"'))
    seen = measure_review(store, PROJECT, policy, {}, control="kind")

    assert [(metrics.tier, metrics.cases, metrics.n_reviews) for metrics in seen.tiers] == [
        ("L1", 4, 8),
        ("L2", 4, 12),
        ("L3", 0, 0),
    ]
    assert seen.tiers[0].escalated.value == 1.0
    assert seen.people[0].person in (BEN, EVA)
    received = forecast_tiers(store, PROJECT, policy, seen.tiers, now_s=world.site.seconds())
    assert [item.tier for item in received] == ["L1", "L2", "L3"]
    assert len(received[1].wait_s) == 12
    report = case_report(store, world.case(tasks[0]).id)
    assert report.to_json()["case"]["answer"] == "fruit"
    assert [step["event"] for step in report.to_json()["events"]][-2:] == ["decide", "write"]


def test_the_first_tier_is_measured_without_a_clock_too(world: World):
    store = world.store
    world.use(policy_text(l1='skip_means = "escalate"', share=1.0), overlap=2)
    agreed, differed, skipped, alone = world.site.add("a1", "b2", "c3", "d4")
    world.turn()
    for task, row, two in ((agreed, "fruit", "fruit"), (differed, "fruit", "tool")):
        world.site.pass_time(60)
        world.site.answer(task, row, person=ADA)
        world.turn()
        world.site.answer(task, two, person=BEN)
        world.turn()
    world.site.skip_source(skipped, person=CLEO)
    world.site.answer(alone, "fruit", person=ADA)
    world.turn()
    world.turn()
    policy = read_policy(policy_text(share=1.0))
    seen = measure_review(store, PROJECT, policy, {}, control="kind")
    first, second = seen.tiers[:2]

    # the second look began after people had agreed: their stay is over, and has escalated nothing
    assert [case.rule for case in store.cases.list_cases(PROJECT, tasks=[agreed, differed, skipped])].count(
        "second look"
    ) == 1
    assert (first.cases, first.n_open, first.n_reviews) == (4, 1, 5)
    assert first.escalated.value == pytest.approx(2 / 3)
    assert first.wait_s is not None
    assert first.wait_s >= 60
    assert (second.cases, second.n_open) == (3, 3)
    assert [person.person for person in seen.people] == [ADA, BEN]
    assert store.cases.list_cases(PROJECT, tasks=[alone]) == []
    store.close()


def test_a_rush_is_foretold_with_what_would_help(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    now_s = 1_800_000_000.0
    store.cases.create_cases(
        [CaseRow(PROJECT, task, "queued", "L2", opened_s=now_s - 60, entered_s=now_s - 60) for task in range(400)],
        "open",
    )
    policy = read_policy('[tiers.L1]\n[tiers.L2]\nresolve = "1h"\nhandling = "2m"\n')
    tiers = measure_review(store, PROJECT, policy, {}, control="kind").tiers

    (_, received) = forecast_tiers(store, PROJECT, policy, tiers, now_s=now_s)

    assert received.advice.startswith("L2 breaches from 2027-01-15 08:00 UTC: add ")
    store.close()


def test_what_each_queue_will_bring_is_foretold_from_the_same_hours_of_the_week_before(tmp_path: Path):
    store = open_store(f"sqlite:///{tmp_path / 's.db'}")
    now_s = 1_800_000_000.0  # 08:00
    arrived_s = {"refunds": now_s - 2 * 86_400 + 7200, "chats": now_s - 86_400 + 3600, "nights": now_s - 3600}
    store.cases.create_cases(
        [
            CaseRow(PROJECT, task, "queued", "L2", opened_s=arrived_s[queue], entered_s=arrived_s[queue], segment=queue)
            for task, queue in enumerate(["refunds"] * 30 + ["chats"] * 10 + ["nights"] * 5)
        ],
        "open",
    )
    tiers = measure_review(store, PROJECT, POLICY, {}, control="kind").tiers
    (_, received) = forecast_tiers(store, PROJECT, POLICY, tiers, now_s=now_s)
    days = (now_s - arrived_s["refunds"]) / 86_400

    assert received.queues == {"chats": round(10 / days, 2), "refunds": round(30 / days, 2)}  # nobody comes at night
    store.close()
