from __future__ import annotations

import random
from dataclasses import replace

from feedback.policy import Policy
from feedback.project.incremental_caches import Changes
from feedback.training.dataset import ConsensusLabel, Dataset, Row, build
from feedback.training.retrain_triggers import LastTraining, UnseenRows, first_model_waits_for, retrain_reason
from ml_backend.records import Answer


def dataset(n: int, *, flip: frozenset[int] = frozenset()) -> Dataset:
    labels = {task: "ab"[(task + (task in flip)) % 2] for task in range(n)}
    settled = [ConsensusLabel(task, Answer("choices", (label,)), 1, 1.0, (task,)) for task, label in labels.items()]
    return build("c", ("a", "b"), settled, {task: {} for task in range(n)}, dict.fromkeys(range(n), "train"))


def trained(data: Dataset, recipe: str = "r/1") -> LastTraining:
    tasks = frozenset(row.task for row in data.of("train"))
    return LastTraining(
        data.fingerprint, len(tasks), recipe, tasks, annotations=tasks
    )  # one answer each, of that number


def test_the_first_model_waits_for_enough_answers_of_two_kinds():
    one_kind = Dataset("c", tuple(row for row in dataset(80).rows if row.label == "a"), "f")

    assert retrain_reason(dataset(19), None, recipe="r/1", policy=Policy()) == ""
    assert retrain_reason(one_kind, None, recipe="r/1", policy=Policy()) == ""
    assert retrain_reason(dataset(20), None, recipe="r/1", policy=Policy()) == "first model: 20 answers"
    assert first_model_waits_for(dataset(19), Policy()).startswith("19 of 20 training tasks answered; 1 more needed")
    assert first_model_waits_for(one_kind, Policy()) == (
        "all 40 training tasks have the answer 'a'; a second label is needed"
    )
    assert first_model_waits_for(dataset(20), Policy()) == ""


def test_later_models_wait_for_growth():
    last = trained(dataset(400))

    assert retrain_reason(dataset(459), last, recipe="r/1", policy=Policy()) == ""
    assert retrain_reason(dataset(460), last, recipe="r/1", policy=Policy()) == "60 new answers"


def test_nothing_new_trains_nothing():
    assert retrain_reason(dataset(100), trained(dataset(100)), recipe="r/1", policy=Policy()) == ""


def test_a_changed_recipe_is_always_due():
    assert "recipe changed" in retrain_reason(dataset(100), trained(dataset(100)), recipe="r/2", policy=Policy())


def test_withdrawn_answers_count_as_new_ones():
    assert retrain_reason(dataset(70), trained(dataset(100)), recipe="r/1", policy=Policy()) == "30 new answers"


def test_a_task_that_was_answered_anew_is_news():
    now = dataset(40, flip=frozenset({3}))
    seen = LastTraining("older", 40, "r/1", frozenset(range(40)), frozenset(range(20)))

    assert retrain_reason(now, seen, recipe="r/1", policy=Policy()) == "20 new answers"
    assert retrain_reason(now, replace(seen, annotations=frozenset(range(25))), recipe="r/1", policy=Policy()) == ""


def test_a_few_answers_that_changed_what_the_model_showed_are_enough():
    last = trained(dataset(100))
    some = dataset(112)  # twelve new answers, annotated 100 to 111; fifteen would be enough by themselves

    def reason(*, overrides: range) -> str:
        return retrain_reason(some, last, recipe="r/1", policy=Policy(), overrides=lambda: overrides)

    assert reason(overrides=range(100, 109)) == ""  # nine
    assert reason(overrides=range(100, 110)) == "10 new answers changed what the model showed"
    assert reason(overrides=range(90, 105)) == ""  # ten of these were learned from already


def test_a_model_that_learned_from_somebody_who_was_forgotten_is_replaced():
    last = trained(dataset(100))

    def reason(*gone: int) -> str:
        return retrain_reason(dataset(99), last, recipe="r/1", policy=Policy(), forgotten=lambda: gone)

    assert reason() == reason(500) == ""
    assert reason(99, 500) == "1 answers that it learned from were forgotten"


def test_who_changed_what_is_only_asked_where_it_may_matter():
    last = trained(dataset(100))

    def asked() -> list[int]:
        raise AssertionError("five new answers cannot be ten overrides")

    assert retrain_reason(dataset(105), last, recipe="r/1", policy=Policy(), overrides=asked) == ""


def test_unseen_rows_followed_from_change_to_change_are_those_of_a_comparison_of_all_rows():
    rng = random.Random(4)
    last = LastTraining("f", 30, "r/1", frozenset(range(30)), frozenset(range(25)))
    rows = {row.task: row for row in dataset(30).rows}
    now = Dataset("c", tuple(rows.values()), "f", Changes.everything())
    kept = UnseenRows.find(now, last)
    for turn in range(60):
        changed = {task: rng.choice(["gone", "tune", "train"]) for task in rng.sample(range(40), rng.choice([1, 5]))}
        for task, role in changed.items():
            rows[task] = Row(task, role, rng.choice("ab"), {}, tuple(rng.sample(range(30), rng.randint(1, 2))))
            if role == "gone":
                del rows[task]
        in_order = tuple(rows[task] for task in sorted(rows))
        now = Dataset("c", in_order, str(turn), now.changes.then(changed))
        if turn % 20 == 19:
            last = replace(last, tasks=frozenset(row.task for row in now.of("train")))
        kept = UnseenRows.find(now, last, kept)

        assert kept == UnseenRows.find(now, last)
        assert now.find([*changed]) == [row for row in in_order if row.task in changed]
