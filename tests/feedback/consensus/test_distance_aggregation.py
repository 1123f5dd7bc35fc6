"""Numbers and regions: people weigh by how near they are to the others, and what they say is fused."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from feedback.agreement.krippendorff_alpha import alpha_of_answers
from feedback.consensus import region_fusion
from feedback.consensus.distance_aggregation import medoid
from feedback.consensus.label_aggregation import aggregate
from ml_backend.codecs import get_codec
from ml_backend.records import Answer
from tests.support.controls import CASES, Case
from tests.support.crowds import VoteLike, settle

NOISE = (0.02, 0.02, 0.6)  # how far off each is, as a share; the last is careless


def number(value: float, noise: float, rng: random.Random) -> Answer:
    return Answer("number", round(value * (1 + noise * rng.choice((-1, 1)) * rng.random()), 3))


def spans(value: float, noise: float, rng: random.Random) -> Answer:
    start = round(value) + rng.choice((-1, 1)) * round(40 * noise * rng.random())
    return Answer("labels", ((start, start + 20, "PER"),))


def boxes(value: float, noise: float, rng: random.Random) -> Answer:
    moved = value / 2 + rng.choice((-1, 1)) * 30 * noise * rng.random()
    return Answer("rectanglelabels", ((moved, 10.0, 20.0, 20.0, 0.0, 1.0, "Car"),))


Make = Callable[[float, float, random.Random], Answer]
KINDS = pytest.mark.parametrize("make", [number, spans, boxes])


def crowd(
    make: Make, n: int, *, alone: int = 0, noise: Sequence[float] = NOISE
) -> tuple[list[VoteLike], dict[int, Answer]]:
    rng = random.Random(3)
    truth = {task: rng.uniform(60, 100) for task in range(n + alone)}
    votes = [
        VoteLike(task, person, make(truth[task], noise[person], rng))
        for task in range(n + alone)
        for person in (range(len(noise)) if task < n else [rng.randrange(len(noise))])
    ]
    return votes, {task: make(value, 0.0, rng) for task, value in truth.items()}


@KINDS
def test_weighing_brings_the_consensus_nearer_to_the_truth_than_the_careless_one_and_equal_weights(make: Make):
    votes, truth = crowd(make, 60)
    found = aggregate(votes, by="auto").by_task
    distance = get_codec(votes[0].answer.kind).distance
    by_task = {task: [vote.answer for vote in votes if vote.task == task] for task in truth}
    ours = np.mean([distance(found[task].answer, truth[task]) for task in truth])
    equal = np.mean([distance(_equal(answers), truth[task]) for task, answers in by_task.items()])
    careless = np.mean([distance(answers[2], truth[task]) for task, answers in by_task.items()])

    assert ours < equal + 0.01  # two of three decide anyway; weighing must not lose
    assert ours < 0.5 * careless


@KINDS
def test_two_careless_people_are_outweighed_by_two_careful_ones(make: Make):
    votes, truth = crowd(make, 80, noise=(0.02, 0.02, 0.7, 0.7))
    found = aggregate(votes, by="auto").by_task
    distance = get_codec(votes[0].answer.kind).distance
    by_task = {task: [vote.answer for vote in votes if vote.task == task] for task in truth}
    ours = np.mean([distance(found[task].answer, truth[task]) for task in truth])
    equal = np.mean([distance(_equal(answers), truth[task]) for task, answers in by_task.items()])

    # two wild regions hardly overlap, so that fusion leaves them out in any case; two wild numbers move a median
    assert ours < (0.8 * equal if make is number else equal + 0.005)


@KINDS
def test_a_single_answer_weighs_as_much_as_its_person(make: Make):
    votes, _ = crowd(make, 40, alone=60)
    found = aggregate(votes, by="auto").by_task
    alone = [vote for vote in votes if vote.task >= 40]
    weight = [np.mean([found[vote.task].weight for vote in alone if vote.person == person]) for person in range(3)]

    assert min(weight[:2]) > weight[2] + 0.05
    assert all(found[vote.task].answer == vote.answer for vote in alone)


@KINDS
def test_near_answers_are_decided_and_far_ones_need_another_vote(make: Make):
    rng = random.Random(1)
    votes, _ = crowd(make, 40, noise=(0.01, 0.01, 0.01))
    votes += [VoteLike(900, person, make(60.0, 0.0, rng)) for person in (0, 1)]
    votes += [VoteLike(901, 0, make(20.0, 0.0, rng)), VoteLike(901, 1, make(95.0, 0.0, rng))]
    consensus_labels = settle(
        votes, {900: 2, 901: 2}, max_votes=3, aggregated=aggregate(votes, by="auto").by_task, sure=0.8
    )

    assert 900 in {item.task for item in consensus_labels.settled}
    assert consensus_labels.needs_more_votes == {901: 2}
    assert all(0 < item.support <= 1 and 0 < item.weight <= 1 for item in consensus_labels.settled)


def test_gold_judges_two_people_who_share_little():
    rng = random.Random(2)
    votes = [VoteLike(task, person, number(50.0, NOISE[1 + person], rng)) for task in range(20) for person in (0, 1)]
    votes += [VoteLike(100 + task, task % 2, number(70.0, NOISE[1 + task % 2], rng)) for task in range(20)]
    gold = {task: Answer("number", 50.0) for task in range(20)}
    found = aggregate(votes, by="auto", gold=gold).by_task

    assert found.keys() == set(range(100, 120))
    assert found[100].weight > found[101].weight


def test_few_shared_answers_count_alike_and_a_single_one_is_what_it_is():
    rng = random.Random(2)
    votes = [VoteLike(1, person, number(50.0, 0.1, rng)) for person in range(3)] + [
        VoteLike(2, 0, number(9.0, 0.0, rng))
    ]
    found = aggregate(votes, by="auto")

    assert found.by_task.keys() == {1}
    assert found.by_task[1].answer in [vote.answer for vote in votes]
    assert "all alike" in found.reason


def test_the_policy_may_leave_it_to_majorities():
    votes, _ = crowd(number, 20)

    assert not aggregate(votes, by="majority").by_task


def _equal(answers: list[Answer]) -> Answer:
    kind = answers[0].kind
    if kind == "number":
        return sorted(answers, key=lambda item: item.value)[len(answers) // 2]  # type: ignore[arg-type,return-value]
    regions = tuple(item.region for item in region_fusion.fuse_regions(answers))
    return Answer(kind, regions or answers[0].value)


def test_the_medoid_is_one_of_the_answers_with_the_support_of_the_others():
    answers = [Answer("taxonomy", (path,)) for path in (("A", "x"), ("A", "x"), ("A", "y"), ("B", "z"))]

    found = medoid(answers, get_codec("taxonomy").distance)

    assert found.answer == answers[0]
    assert found.support == pytest.approx(1 - (0 + 2 / 3 + 1) / 3)
    assert medoid(answers[:1], get_codec("taxonomy").distance).support == 1.0


def test_the_order_of_the_answers_changes_neither_medoid_nor_fusion():
    rng = np.random.default_rng(7)
    for _ in range(20):
        drawn = [
            Answer(
                "labels", tuple(sorted({(int(at), int(at + size), "PER") for at, size in rng.integers(1, 9, (3, 2))}))
            )
            for _ in range(5)
        ]
        shuffled = [drawn[at] for at in rng.permutation(5)]
        first, second = (medoid(answers, get_codec("labels").distance) for answers in (drawn, shuffled))

        assert (first.answer, first.support) == (second.answer, second.support)
        assert [f.region for f in region_fusion.fuse_regions(drawn, keep=0.3)] == [
            f.region for f in region_fusion.fuse_regions(shuffled, keep=0.3)
        ]


def test_the_medoid_of_weighted_answers_is_near_to_a_reliable_person():
    answers = [Answer("rating", 5), Answer("rating", 1), Answer("rating", 1)]

    assert medoid(answers, get_codec("rating").distance).answer.value == 1
    assert medoid(answers, get_codec("rating").distance, weights=[0.95, 0.3, 0.3]).answer.value == 5


OTHERS = {  # another answer than that of the case
    "brushlabels": ((200, 200, (0, 50), "B"),),
    "choices": ("Z",),
    "datetime": "2031-05-06",
    "keypointlabels": ((5.0, 5.0, "B"),),
    "number": 900.0,
    "pairwise": "right",
    "paragraphlabels": ((0, 0, 0, 3, "A"),),
    "polygonlabels": ((((60.0, 60.0), (90.0, 60.0), (90.0, 90.0)), "B"),),
    "ranker": (("c", ("i1", "i2")),),
    "rating": 1,
    "taxonomy": (("Plant",),),
    "textarea": ("somebody else did",),
}
SPANS = dict.fromkeys(("labels", "hypertextlabels", "timeserieslabels", "timelinelabels"), ((80, 90, "B"),))
SIDES = dict.fromkeys(("rectanglelabels", "ellipselabels"), ((70.0, 70.0, 5.0, 5.0, 0.0, 1.0, "B"),))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_two_of_three_people_are_the_consensus_and_the_agreement_of_every_kind(case: Case):
    given, other = case.answer, Answer(case.answer.kind, {**OTHERS, **SPANS, **SIDES}[case.answer.kind])
    votes = [
        VoteLike(task, person, other if (person + task) % 6 == 0 else given if task < 6 else other)
        for task in range(12)
        for person in range(3)
    ]

    found = aggregate(votes, by="auto").by_task
    alpha = alpha_of_answers([vote.task for vote in votes], [vote.answer for vote in votes])

    assert {found[task].answer for task in range(6)} == {given}
    assert {found[task].answer for task in range(6, 12)} == {other}
    assert 0.4 < alpha.value < 1.0
