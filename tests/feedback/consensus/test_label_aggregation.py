from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from feedback.consensus import method_selection, sparse_votes
from feedback.consensus.label_aggregation import aggregate, aggregate_columns
from feedback.training.dataset import build
from feedback.training.trainer import train
from feedback.votes import VoteColumns
from ml_backend.label_config import Control
from ml_backend.models import recipe_for
from ml_backend.records import Answer
from tests.support.crowds import VoteLike, settle

LABELS = ("good", "bad")
ANSWERS = {label: Answer("choices", (label,)) for label in LABELS}
CONTROL = Control("kind", "text", "choices", LABELS, False, "text", "text")
WORDS = {label: [f"{label[0]}word{number}" for number in range(40)] for label in LABELS}


def crowd(truth: Sequence[str], *, shared: int, right: Sequence[float], seed: int = 1) -> list[VoteLike]:
    """Everybody answers the first `shared` tasks, one of them each other task."""
    rng = random.Random(seed)
    votes = []
    for task, label in enumerate(truth):
        people = range(len(right)) if task < shared else [rng.randrange(len(right))]
        for person in people:
            labels = label if rng.random() < right[person] else rng.choice([item for item in LABELS if item != label])
            votes.append(VoteLike(task, person, ANSWERS[labels]))
    return votes


def truths(n: int, seed: int = 5) -> list[str]:
    rng = random.Random(seed)
    return [rng.choice(LABELS) for _ in range(n)]


def test_one_reliable_person_outweighs_two_careless_ones():
    truth = truths(300)
    votes = crowd(truth, shared=300, right=[0.97, 0.6, 0.6])
    plain = settle(votes, {}, max_votes=3).settled
    weighed = settle(votes, {}, max_votes=3, aggregated=aggregate(votes, by="auto").by_task).settled

    def right(settled: Sequence[object]) -> float:
        return float(np.mean([item.answer == ANSWERS[truth[item.task]] for item in settled]))  # type: ignore[attr-defined]

    assert right(weighed) > right(plain) + 0.05


def test_a_single_vote_is_as_good_as_its_person():
    truth = truths(400)
    votes = crowd(truth, shared=100, right=[0.97, 0.95, 0.55])
    found = aggregate(votes, by="auto").by_task
    alone = [vote for vote in votes if vote.task >= 100]
    weight = {p: np.mean([found[vote.task].weight for vote in alone if vote.person == p]) for p in range(3)}

    assert weight[0] > 0.7
    assert weight[1] > 0.7
    assert weight[2] < 0.4
    assert all(found[vote.task].answer == vote.answer for vote in alone)


@pytest.mark.parametrize(
    ("votes", "why"),
    [
        (crowd(truths(40), shared=0, right=[0.9, 0.9, 0.9]), "too few"),
        (crowd(truths(40), shared=40, right=[0.9, 0.6]), "2 people"),
        (crowd(["good"] * 40, shared=40, right=[1.0, 1.0, 1.0]), "same answer"),
        ([VoteLike(1, person, Answer("choices", (str(person),))) for person in range(201)], "too many"),
    ],
)
def test_where_too_little_is_known_of_people_majorities_decide(votes: list[VoteLike], why: str):
    found = aggregate(votes, by="auto")

    assert not found.by_task
    assert found.method == "majority"
    assert why in found.reason


def test_where_error_rates_do_not_fit_into_memory_majorities_decide(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(method_selection, "_MAX_ERROR_RATES", 10)
    monkeypatch.setattr(sparse_votes, "_MAX_ERROR_RATES", 11)

    found = aggregate(crowd(truths(60), shared=40, right=[0.9, 0.9, 0.9]), by="auto")

    assert not found.by_task  # their confidence and weight would not be numbers
    assert "too many error rates" in found.reason


def test_gold_finds_which_of_three_people_is_wrong_more_often_than_not():
    ours, raw = [], []
    for seed in range(8):
        truth, rng, right = truths(160, seed), random.Random(seed), (0.97, 0.88, 0.2)
        votes = crowd(truth[:20], shared=20, right=right, seed=seed)
        for task in range(20, 160):
            for person in rng.sample(range(3), 2):
                answers = truth[task] if rng.random() < right[person] else next(o for o in LABELS if o != truth[task])
                votes.append(VoteLike(task, person, ANSWERS[answers]))
        gold = {task: ANSWERS[truth[task]] for task in range(20)}
        found = aggregate(votes, by="auto", gold=gold).by_task
        settled = settle(votes, {}, max_votes=2, aggregated=found, sure=0.5).settled
        ours.append(np.mean([item.answer == ANSWERS[truth[item.task]] for item in settled if item.task >= 20]))
        raw.append(np.mean([vote.answer == ANSWERS[truth[vote.task]] for vote in votes if vote.task >= 20]))

    assert np.mean(ours) > np.mean(raw) + 0.15
    assert min(ours) > 0.85


def test_what_is_believed_less_than_an_answer_that_nobody_gave_is_doubted_and_weighs_next_to_nothing():
    truth = truths(200)
    votes = crowd(truth, shared=200, right=[0.97, 0.95, 0.15])
    alone = VoteLike(900, 2, ANSWERS["good"])
    found = aggregate([*votes, alone], by="auto", gold=dict(enumerate(ANSWERS[item] for item in truth[:60]))).by_task

    assert found[900].doubted
    assert (found[900].answer, found[900].weight) == (ANSWERS["good"], 0.05)
    assert np.mean([item.doubted for item in found.values()]) < 0.05


def test_gold_tasks_get_no_opinion_and_are_settled_by_people_alone():
    truth = truths(120)
    votes = crowd(truth, shared=120, right=[0.95, 0.9, 0.3])
    gold = {task: ANSWERS[truth[task]] for task in range(30)}
    found = aggregate(votes, by="auto", gold=gold)

    assert "gold" in found.reason
    assert found.by_task.keys() == set(range(30, 120))


def test_one_person_is_weighed_by_gold_alone():
    truth = truths(100)
    votes = crowd(truth, shared=0, right=[0.8])
    gold = {task: ANSWERS[truth[task]] for task in range(40)}

    assert not aggregate(votes, by="auto").by_task
    found = aggregate(votes, by="auto", gold=gold).by_task
    assert 0.6 < np.mean([item.confidence for item in found.values()]) < 0.9


def test_an_unknown_method_is_reported_and_the_majority_decides():
    found = aggregate(crowd(truths(60), shared=60, right=[0.9, 0.9, 0.9]), by="dawid_skeen")

    assert not found.by_task
    assert "dawid_skene" in found.reason


def test_a_tie_is_settled_when_the_consensus_is_sure():
    votes = crowd(truths(200), shared=200, right=[0.98, 0.95, 0.55])
    tied = [*votes, VoteLike(900, 0, ANSWERS["good"]), VoteLike(900, 2, ANSWERS["bad"])]
    found = aggregate(tied, by="auto").by_task
    settled = {item.task: item for item in settle(tied, {900: 2}, max_votes=3, aggregated=found, sure=0.8).settled}
    unsure = settle(tied, {900: 2}, max_votes=3, aggregated=found, sure=1.0)

    assert settled[900].answer == ANSWERS["good"]
    assert settled[900].confidence > 0.8
    assert unsure.needs_more_votes == {900: 2}


def test_a_label_worth_another_vote_is_requested_again_and_stays_valid_until_then():
    votes = crowd(truths(200), shared=200, right=[0.98, 0.95, 0.55])
    votes.append(VoteLike(900, 2, ANSWERS["good"]))
    found = aggregate(votes, by="auto")
    consensus_labels = settle(votes, {}, max_votes=3, aggregated=found.by_task, worth_another={900})

    assert found.by_task[900].gain == max(label.gain for label in found.labels)
    assert consensus_labels.needs_more_votes == {900: 1}
    assert 900 in {item.task for item in consensus_labels.settled}


def test_weights_make_the_model_better():
    truth = truths(260)
    rng = random.Random(2)
    data = {task: {"text": f"{task} {rng.choice(WORDS[label])}"} for task, label in enumerate(truth)}
    unseen = [({"text": f"x {item} {two}"}, label) for label in LABELS for item in WORDS[label] for two in WORDS[label]]
    votes = crowd(truth, shared=60, right=[0.95, 0.9, 0.4, 0.4, 0.4])
    roles = dict.fromkeys(data, "train")

    def accuracy(*, weighed: bool) -> float:
        opinions = aggregate(votes, by="auto").by_task if weighed else None
        settled = settle(votes, {}, max_votes=3, aggregated=opinions, sure=0.8).settled
        dataset = build("kind", LABELS, settled, data, roles)
        bundle = train(dataset, CONTROL, recipe_for(CONTROL), config_hash="h", seed=0, now_s=0.0)
        answers = [bundle.classes[at] for at in bundle.proba([text for text, _ in unseen]).argmax(axis=1)]
        return float(np.mean([item == label for item, (_, label) in zip(answers, unseen, strict=True)]))

    assert accuracy(weighed=True) > accuracy(weighed=False) + 0.02


def random_votes(rng: random.Random, task: int, people: int) -> list[VoteLike]:
    """Votes of up to three people on a task, who are right more often than not."""
    truth = task % 2
    return [
        VoteLike(task, person, ANSWERS[LABELS[truth if rng.random() < 0.6 + 0.05 * person else 1 - truth]])
        for person in sorted(rng.sample(range(people), rng.randint(0, 3)))
    ]


@pytest.mark.parametrize("people", [4, 25])
@pytest.mark.parametrize("by", ["auto", "one_coin", "dawid_skene"])
def test_votes_replaced_task_by_task_aggregate_to_what_all_votes_aggregate_to(people: int, by: str):
    rng = random.Random(people)
    given = {task: random_votes(rng, task, people) for task in range(300)}
    columns = VoteColumns.build(vote for votes in given.values() for vote in votes)
    before = aggregate_columns(columns, by=by, gold={})
    for turn in range(6):
        gold = {task: ANSWERS[LABELS[task % 2]] for task in range(0, 40, 2)} if turn % 3 == 2 else {}
        changed = {task: random_votes(rng, task, people) for task in rng.sample(range(320), rng.choice([1, 2, 40]))}
        given |= changed
        columns = columns.replace_tasks([*changed], [vote for votes in changed.values() for vote in votes])
        afresh = [vote for votes in given.values() for vote in votes]
        rng.shuffle(afresh)
        kept, anew = aggregate_columns(columns, by=by, gold=gold), aggregate(afresh, by=by, gold=gold)

        assert columns.equals(VoteColumns.build(afresh))
        assert (kept.by_task, kept.method, kept.reason) == (anew.by_task, anew.method, anew.reason)
        assert [(label.gain, label.lead) for label in kept.labels] == [
            (label.gain, label.lead) for label in anew.labels
        ]
        assert kept.changed_since(before) == {
            task
            for task in kept.by_task.keys() | before.by_task.keys()
            if kept.by_task.get(task) != before.by_task.get(task)
        }
        before = kept
