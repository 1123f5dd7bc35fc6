"""Numbers, anything with a distance, regions, comparisons, and voters who are not people."""

import numpy as np
import pytest

from feedback.consensus.bradley_terry import bradley_terry
from feedback.consensus.labelling_functions import combine_voters, join_votes
from feedback.consensus.medoid import medoid
from feedback.consensus.numeric_consensus import median, trimmed_mean
from feedback.consensus.region_fusion import fuse_boxes, fuse_spans
from feedback.errors import VotesError
from feedback.votes import Votes
from ml_backend.codecs import codec
from ml_backend.records import Answer


def spans(*regions):
    return Answer("labels", tuple(sorted(regions)))


def boxes(*regions):
    return Answer("rectanglelabels", tuple(sorted((*sides, 0.0, 1.0, label) for *sides, label in regions)))


def test_the_median_is_numpys_per_task_and_nan_without_answers():
    rng = np.random.default_rng(0)
    tasks, values = rng.integers(0, 40, 300), rng.normal(size=300)

    found = median(tasks, values, n_tasks=42)

    expected = [np.median(values[tasks == task]) if (tasks == task).any() else np.nan for task in range(42)]
    assert found.values == pytest.approx(np.array(expected), nan_ok=True)
    assert found.support.tolist() == np.bincount(tasks, minlength=42).tolist()


def test_a_wild_answer_moves_neither_median_nor_trimmed_mean():
    tasks, values = np.zeros(5, dtype=int), np.array([9.0, 10.0, 11.0, 10.0, 1e9])

    assert median(tasks, values).values[0] == 10.0
    assert trimmed_mean(tasks, values).values[0] == pytest.approx(31 / 3)
    assert trimmed_mean(tasks, values, trim=0.0).values[0] == pytest.approx(values.mean())


@pytest.mark.parametrize(
    ("tasks", "values", "message"),
    [([0], [float("nan")], "not a finite number"), ([0, 1], [1.0], "one value per row"), ([], [], "no answers")],
)
def test_numbers_that_are_none_are_refused(tasks, values, message):
    with pytest.raises(VotesError, match=message):
        median(tasks, values)


def test_the_medoid_is_one_of_the_answers_and_says_how_near_the_others_are():
    answers = [Answer("taxonomy", (path,)) for path in (("A", "x"), ("A", "x"), ("A", "y"), ("B", "z"))]

    found = medoid(answers, codec("taxonomy").distance)

    assert found.answer == answers[0]
    assert found.support == pytest.approx(1 - (0 + 2 / 3 + 1) / 3)
    assert medoid(answers[:1], codec("taxonomy").distance).support == 1.0


def test_the_order_of_the_answers_changes_neither_medoid_nor_fusion():
    rng = np.random.default_rng(7)
    for _ in range(20):
        drawn = [
            spans(*{(int(at), int(at + size), "PER") for at, size in zip(*rng.integers(1, 9, (2, 3)), strict=True)})
            for _ in range(5)
        ]
        shuffled = [drawn[at] for at in rng.permutation(5)]
        one, other = (medoid(answers, codec("labels").distance) for answers in (drawn, shuffled))

        assert (one.answer, one.support) == (other.answer, other.support)
        assert [f.region for f in fuse_spans(drawn, keep=0.3)] == [f.region for f in fuse_spans(shuffled, keep=0.3)]


def test_a_reliable_person_outweighs_two_careless_ones():
    answers = [Answer("rating", 5), Answer("rating", 1), Answer("rating", 1)]

    assert medoid(answers, codec("rating").distance).answer.value == 1
    assert medoid(answers, codec("rating").distance, weights=[0.95, 0.3, 0.3]).answer.value == 5


def test_spans_that_most_people_mean_are_kept_with_median_ends():
    fused = fuse_spans(
        [
            spans((0, 5, "PER"), (20, 30, "ORG")),
            spans((0, 6, "PER"), (20, 30, "ORG"), (40, 44, "LOC")),
            spans((0, 5, "PER")),
        ]
    )

    assert [one.region for one in fused] == [(0, 5, "PER"), (20, 30, "ORG")]
    assert [one.support for one in fused] == pytest.approx([1.0, 2 / 3])


def test_a_label_that_differs_is_another_span():
    assert fuse_spans([spans((0, 5, "PER")), spans((0, 5, "ORG"))]) == ()
    assert [one.region for one in fuse_spans([spans((0, 5, "PER")), spans((0, 5, "ORG"))], weights=[3, 1])] == [
        (0, 5, "PER")
    ]


def test_boxes_are_fused_by_their_edges():
    fused = fuse_boxes(
        [
            boxes((10, 10, 20, 20, "Car")),
            boxes((12, 10, 20, 20, "Car")),
            boxes((11, 12, 20, 20, "Car"), (70, 70, 5, 5, "Car")),
        ]
    )

    assert [one.region for one in fused] == [(11.0, 10.0, 20.0, 20.0, 0.0, 1.0, "Car")]


def test_two_boxes_of_one_person_never_become_one():
    twins = boxes((10, 10, 20, 20, "Car"), (12, 10, 20, 20, "Car"))

    assert len(fuse_boxes([twins, twins, twins])) == 2


def test_turned_boxes_are_chosen_and_not_averaged():
    def turned(angle):
        return Answer("rectanglelabels", ((30.0, 30.0, 20.0, 20.0, angle, 1.0, "Car"),))

    assert fuse_boxes([turned(1.0), turned(2.0), turned(3.0)])[0].region[4] == 2.0


def test_bradley_terry_finds_the_order_and_covers_the_strengths():
    rng = np.random.default_rng(0)
    strengths = np.linspace(-1.5, 1.5, 8)
    pairs = rng.integers(0, 8, (4000, 2))
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    first_wins = rng.random(len(pairs)) < 1 / (1 + np.exp(strengths[pairs[:, 1]] - strengths[pairs[:, 0]]))
    winners, losers = np.where(first_wins, pairs.T, pairs.T[::-1])

    found = bradley_terry(winners, losers)

    assert found.order.tolist() == [7, 6, 5, 4, 3, 2, 1, 0]
    assert (np.abs(found.strengths - strengths) < 3 * found.se).all()


def test_a_thing_that_always_won_is_strong_and_finite():
    found = bradley_terry([0] * 50, [1] * 50)

    assert 2 < found.strengths[0] < 10
    assert found.strengths.sum() == pytest.approx(0.0)


def test_a_thing_against_itself_is_refused():
    with pytest.raises(VotesError, match="compared with itself"):
        bradley_terry([1], [1])


def rules(truth, right=(0.9, 0.8, 0.5), seed=0):
    """Labelling functions that abstain on a third of the tasks."""
    rng = np.random.default_rng(seed)
    rows = [
        (task, function, int(label if rng.random() < chance else rng.integers(0, 2)))
        for function, chance in enumerate(right)
        for task, label in enumerate(truth)
        if rng.random() < 0.67
    ]
    return Votes(*np.transpose(rows), len(truth), len(right), 2)


def test_labelling_functions_suggest_before_anybody_has_voted():
    truth = np.random.default_rng(1).integers(0, 2, 400)
    nobody = Votes([], [], [], 400, 0, 2)

    said = combine_voters(nobody, functions=rules(truth))

    covered = said.labels >= 0
    assert (said.labels == truth)[covered].mean() > 0.85
    assert said.support.tolist() == [0] * 400


def test_functions_and_model_are_never_counted_as_people():
    truth = np.random.default_rng(2).integers(0, 2, 100)
    people = Votes(np.arange(30), np.zeros(30, dtype=int), truth[:30], 100, 1, 2)
    model = np.eye(2)[truth] * 0.8 + 0.1

    said = combine_voters(people, functions=rules(truth), model=model)

    assert said.support.sum() == 30
    assert said.method == "suggestion"
    assert (said.labels == truth).mean() > 0.95


def test_the_model_helps_most_where_a_task_has_one_vote():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 2, 500)
    sees = rng.random(500) < 0.75
    people = Votes(np.arange(500), rng.integers(0, 12, 500), np.where(sees, truth, 1 - truth))
    sure = rng.uniform(0.5, 1.0, 500)  # calibrated: right as often as it says
    believes = np.where(rng.random(500) < sure, truth, 1 - truth)
    model = np.where(np.eye(2)[believes] > 0, sure[:, None], 1 - sure[:, None])

    alone, together = combine_voters(people), combine_voters(people, model=model)

    best = np.log(model[:, 1] / model[:, 0]) + np.where(people.labels == 1, 1, -1) * np.log(0.75 / 0.25)
    assert (together.labels == truth).mean() > (alone.labels == truth).mean() + 0.03
    assert (together.labels == truth).mean() > (believes == truth).mean() + 0.03
    assert (together.labels == truth).mean() > ((best > 0) == truth).mean() - 0.02  # who knew everybody's skill


def test_people_who_agree_overrule_a_certain_model():
    people = Votes(np.repeat(np.arange(20), 3), np.tile([0, 1, 2], 20), np.repeat(np.arange(20) % 2, 3))
    model = np.eye(2)[np.arange(20) % 2]
    model[0] = [0.0, 1.0]

    assert combine_voters(people, model=model).labels[0] == 0


def test_a_task_that_the_model_cannot_read_rests_on_votes_alone():
    people = Votes([0, 0, 1], [0, 1, 0], [1, 1, 0], 3, 2, 2)
    model = np.array([[np.nan, np.nan], [0.6, 0.4], [0.2, 0.8]])

    assert combine_voters(people, model=model).labels.tolist() == [1, 0, 1]


def test_voters_of_different_tasks_are_refused():
    with pytest.raises(VotesError, match="same numbers of tasks and labels"):
        join_votes(Votes([0], [0], [0], n_labels=2), Votes([0], [0], [0], n_labels=3))
