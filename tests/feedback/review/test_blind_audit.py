"""Audit tasks in review: nothing is shown on them in any tier, and only blind answers count."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from feedback.policy import read_policy
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import load_snapshot, load_splits
from feedback.review.eligibility import EligibilityCache
from feedback.review.final_answers import FinalAnswerCache
from feedback.review.review_task_content import FACTS, HISTORY
from feedback.store import WindowRow
from feedback.training.consensus_labels import ConsensusCache
from feedback.training.dataset import single_label
from ml_backend.records import Answer
from tests.feedback.review.requesters import push
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World

POLICY = """
[[routing]]
id = "huge"
when = { data.text.contains = "huge" }
to = "L2"
reason = "a large amount"
[[routing]]
id = "reported"
when = { signal.user_report.count.gte = 1 }
to = "L2"
reason = "somebody reported it"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
[tiers.L2]
resolve = "2h"
on_breach = "escalate"
[tiers.L3]
[queue]
window = 20
head = 3
[overlap]
share = 0.0
max_votes = 2
[audit]
share = AUDIT
start = 0
[train]
min_rows = 8
[second_look]
share = 0.0
"""
WORDS = {"fruit": "apple pear plum", "tool": "hammer saw drill"}


def texts(world: World, words: str, n: int, *, audit: bool) -> list[str]:
    """Texts with these words that are drawn for the audit, or not."""
    draws = load_splits(world.store, world.row, read_policy(POLICY.replace("AUDIT", "0.4")))
    named = (f"{words} {number}" for number in count())
    drawn = ((text, draws.roles([draws.dedup_key({"text": text})])[0]) for text in named)
    fitting = (text for text, role in drawn if (role in AUDIT_ROLES) == audit)
    return [next(fitting) for _ in range(n)]


def use(world: World, share: str = "0.4", *, overlap: int = 1) -> None:
    world.use(POLICY.replace("AUDIT", share), overlap=overlap)


def with_model(world: World) -> World:
    """A project with a model that is sure of fruit and tools."""
    use(world)
    for label, words in WORDS.items():
        for audit, n in ((False, 6), (True, 4)):
            for task in world.site.add(*texts(world, words, n, audit=audit)):
                world.turn()
                world.site.answer(task, label, person=ADA)
    assert world.turn().version
    return world


def labels(world: World) -> dict[int, str | None]:
    row = world.row
    snapshot = EligibilityCache().exclude(world.store, load_snapshot(world.store, row, row.policy), None).snapshot
    review = FinalAnswerCache()
    settled = review.apply(ConsensusCache().decide(snapshot), review.load(world.store, snapshot), snapshot).settled
    return {label.task: single_label(label.answer) for label in settled}


def assert_nothing_is_shown(world: World, task: int, tier: str) -> None:
    """Neither the model's answer nor that of a person stands on the case's review task."""
    case = world.case(task)
    assert (case.tier, case.review_task is not None) == (tier, True)
    shown = world.site.review_tasks[case.review_project][case.review_task or 0].data
    assert world.site.shown(case.review_task or 0) == ()
    text = f"{shown[FACTS]} {shown[HISTORY]}"
    assert [word for word in ("fruit", "tool", "confidence", "model", "%", "large amount") if word in text] == []


def test_a_rule_gets_an_audit_task_after_the_first_tier_and_shows_nothing_in_any_tier(world: World):
    with_model(world)
    (task,) = world.site.add(*texts(world, "apple pear huge", 1, audit=True))
    world.turn()
    assert world.store.cases.list_cases(PROJECT, tasks=[task]) == []
    assert not world.site.tasks[task].is_labeled  # not hidden: the first tier is asked

    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    world.turn()
    assert world.case(task).proposal is not None  # recorded, for the figures of the model
    assert_nothing_is_shown(world, task, "L2")

    world.site.pass_time(3 * 3600)
    world.turn()
    world.turn()
    assert_nothing_is_shown(world, task, "L3")

    world.review("L3", "answer", "tool", person=CLEO)
    world.turn()
    world.turn()
    assert world.final(task) == "tool"  # what stands in Label Studio
    assert labels(world)[task] == "fruit"  # what measures the model: rules chose who looked again


def test_a_person_who_is_asked_for_decides_an_audit_task_blind(world: World):
    with_model(world)
    (task,) = world.site.add(*texts(world, "apple pear", 1, audit=True))
    world.turn()
    push(world, task)
    world.turn()
    world.turn()

    assert_nothing_is_shown(world, task, "L2")
    world.review("L2", "answer", "fruit", person=CLEO)
    world.turn()
    assert labels(world)[task] == "fruit"


def test_people_who_differ_about_an_audit_task_are_decided_blind(world: World):
    use(world, overlap=2)
    (task,) = world.site.add(*texts(world, "apple", 1, audit=True))
    world.turn()
    world.disagree(task)
    world.turn()

    assert_nothing_is_shown(world, task, "L2")
    world.review("L2", "escalate", person=CLEO, reason="wrong_label")
    world.turn()
    world.turn()
    assert_nothing_is_shown(world, task, "L3")
    world.review("L3", "answer", "tool", person=DAN)
    world.turn()
    assert labels(world)[task] == "tool"


def test_a_signal_reopens_an_audit_task_and_its_answer_measures_nothing(world: World):
    with_model(world)
    (task,) = world.site.add(*texts(world, "pear", 1, audit=True))
    world.turn()
    world.site.answer(task, "fruit", person=ADA)
    world.turn()
    push(world, task, "user_report", value="scam")
    world.turn()
    world.turn()

    assert_nothing_is_shown(world, task, "L2")
    world.review("L2", "answer", "tool", person=CLEO)
    world.turn()
    world.turn()
    assert (world.final(task), labels(world)[task]) == ("tool", "fruit")


@pytest.mark.parametrize(
    ("prediction", "answer", "counts"),
    [(101, None, True), (101, "fruit", False), (999, "fruit", False)],
    ids=["our empty prediction", "our prediction", "somebody else's"],
)
def test_an_answer_to_an_audit_task_counts_only_where_nothing_was_shown(
    world: World, prediction: int, answer: str | None, counts: bool
):
    use(world)
    (task,) = world.site.add(*texts(world, "apple", 1, audit=True))
    world.turn()
    shown = Answer("choices", (answer,)) if answer else None
    row = WindowRow(task, "m1+q1", 0, shown, 0.9 if answer else None, answer is None, 101, 0.0)
    world.store.windows.save_window(PROJECT, [row])
    number = world.site.answer(task, "tool", person=ADA)
    world.site.annotations[number] = replace(world.site.annotations[number], parent_prediction=prediction)
    world.turn()
    found = world.store.uncounted.list_uncounted(PROJECT, "kind", task=task)

    assert (labels(world).get(task) == "tool") or not counts
    assert (world.turn().settled == 1) == counts
    assert [row.person for row in found] == ([] if counts else [ADA])
    if not counts:
        assert "audit task counts blind answers only" in found[0].why
        assert world.site.next_task(BEN) == task  # asked again
        world.site.answer(task, "fruit", person=BEN)
        assert world.turn().settled == 1
        assert labels(world)[task] == "fruit"
        assert len(world.store.uncounted.list_uncounted(PROJECT, "kind", task=task)) == 1


def test_a_case_whose_task_is_drawn_for_the_audit_later_gets_a_review_task_that_shows_nothing(world: World):
    with_model(world)
    use(world, "0.0001")
    first, second = world.site.add(*texts(world, "apple pear huge", 2, audit=True))
    world.turn()
    world.turn()
    assert [len(world.site.shown(world.case(task).review_task or 0)) for task in (first, second)] == [1, 1]
    world.review("L2", "accept", person=CLEO, task=world.case(first).review_task or 0)
    seen = world.case(second).review_task

    use(world)
    world.review("L2", "accept", person=DAN, task=seen or 0)
    world.turn()
    world.turn()
    assert world.case(first).state == "queued"
    assert_nothing_is_shown(world, second, "L2")
    refused = [
        review.refused
        for reviews in world.store.reviews.list_reviews_of_cases([world.case(first).id, world.case(second).id]).values()
        for review in reviews
    ]
    assert refused == ["saw the proposed answer, and this case counts blind answers only"] * 2
    world.review("L2", "answer", "tool", person=EVA, task=world.case(second).review_task or 0)
    world.turn()
    assert labels(world)[second] == "tool"


def test_what_was_decided_with_the_proposal_on_the_screen_measures_no_model_and_is_asked_again(world: World):
    with_model(world)
    use(world, "0.0001")
    (task,) = world.site.add(*texts(world, "apple pear huge", 1, audit=True))
    world.turn()
    world.turn()
    world.review("L2", "accept", person=CLEO)
    world.turn()
    world.turn()
    assert labels(world)[task] == "fruit"

    use(world)
    world.turn()
    assert task not in labels(world)
    world.turn()
    assert world.site.next_task(BEN) == task
    world.site.answer(task, "tool", person=BEN)
    world.turn()
    assert labels(world)[task] == "tool"
