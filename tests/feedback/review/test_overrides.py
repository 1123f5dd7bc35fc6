"""Each human answer with the model's: shown or blind, changed or kept, with its reason."""

from __future__ import annotations

from dataclasses import replace

import pytest

from feedback.policy import read_policy
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.review.overrides import NOT_GIVEN, OverrideCache, override_of_review
from feedback.stats.hash_sampling import draws
from feedback.store import CaseRow, OverrideRow, ProjectRow, ReviewRow, Store, WindowRow
from feedback.training.model_cache import PredictionCache
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer
from tests.support.make_events import annotation_event, choice_result, task, task_events

CONFIG = (
    '<View><Text name="t" value="$text"/><Choices name="c" toName="t"><Choice value="A"/><Choice value="B"/></Choices>'
    '<Choices name="reason" toName="t"><Choice value="The label is wrong" alias="wrong_label"/></Choices></View>'
)
A, B = Answer("choices", ("A",)), Answer("choices", ("B",))


class Champion:
    """Says A of everything."""

    version, created_s, classes, indicators = "m2", 0.0, ("A", "B"), ()
    control = read_label_config(CONFIG).control("c")

    def proba(self, data: list[object], names: object = None) -> list[list[float]]:
        return [[0.8, 0.2] for _ in data]

    def predict_label(self, row: list[float]) -> tuple[Answer, float]:
        return A, row[0]


@pytest.fixture
def store_with_window(store: Store) -> Store:
    store.projects.save_project(ProjectRow("1", "t", CONFIG, control="c", connected=True))
    store.append(task_events(*(task(number) for number in range(1, 6))))
    rows = [
        WindowRow(number, "m1+q1", number, A, 0.9, blind=False, prediction=100 + number, written_s=0.0)
        for number in (1, 2)
    ]
    blind = WindowRow(3, "m1+q1", 3, None, None, blind=True, prediction=103, written_s=0.0)
    store.windows.save_window("1", [*rows, blind])
    return store


def note(store: Store, champion: Champion | None = None) -> list[OverrideRow]:
    project = store.projects.get_project("1")
    assert project is not None
    snapshot = load_snapshot(store, project, read_policy(""))
    OverrideCache().record(store, snapshot, champion, PredictionCache())  # type: ignore[arg-type]
    return store.overrides.list_overrides("1")


def test_a_changed_answer_is_an_override_and_a_kept_one_counts_for_the_rate(store_with_window: Store):
    store_with_window.append(
        [
            annotation_event(1, "B", task=1, parent_prediction=101),
            annotation_event(2, "A", task=2, parent_prediction=102),
        ]
    )
    changed, kept = note(store_with_window)

    assert (changed.shown, changed.answer, changed.changed, changed.confidence) == (A, B, True, 0.9)
    assert (changed.reason, changed.model, changed.tier, changed.blind) == (NOT_GIVEN, "m1", "L1", False)
    assert (kept.changed, kept.reason) == (False, "")
    assert changed.policy == read_policy("").hash


@pytest.mark.parametrize("answer", [A, None])
def test_what_a_team_imported_is_no_answer_of_our_model_and_its_votes_are_not_blind(
    store_with_window: Store, answer: Answer | None
):
    row = WindowRow(4, "hitl-0+q1", 0, answer, None, blind=False, prediction=104, written_s=0.0)
    store_with_window.windows.save_window("1", [replace(row, imported="extractor-v1", is_answer_ours=False)])
    store_with_window.append([annotation_event(1, "B", task=4, parent_prediction=104)])

    assert note(store_with_window, Champion()) == []


def test_a_reason_that_the_source_project_asks_for_is_kept_by_its_code(store_with_window: Store):
    why = {"from_name": "reason", "to_name": "t", "type": "choices", "value": {"choices": ["wrong_label"]}}
    store_with_window.append(
        [annotation_event(1, "B", task=1, parent_prediction=101, result=(*choice_result("B"), why))]
    )

    assert [row.reason for row in note(store_with_window)] == ["wrong_label"]


def test_a_blind_answer_is_compared_with_the_prediction_of_the_champion(store_with_window: Store):
    store_with_window.append(
        [annotation_event(1, "B", task=3, parent_prediction=103), annotation_event(2, "A", task=4)]
    )

    assert note(store_with_window) == []  # no model: nothing to be held against
    rows = note(store_with_window, Champion())
    assert [(row.blind, row.shown, row.changed, row.model) for row in rows] == [
        (True, A, True, "m2"),
        (True, A, False, "m2"),
    ]


def test_a_model_that_may_have_learned_the_answer_is_not_asked(store_with_window: Store):
    store_with_window.append([annotation_event(1, "B", task=4)])
    young = Champion()
    young.created_s = 4e9

    assert note(store_with_window, young) == []


def test_an_unknown_prediction_is_no_override(store_with_window: Store):
    store_with_window.append([annotation_event(1, "B", task=5, parent_prediction=999)])

    assert note(store_with_window, Champion()) == []


def test_a_corrected_answer_replaces_its_row_and_nothing_is_written_twice(store_with_window: Store):
    store_with_window.append([annotation_event(1, "B", task=1, parent_prediction=101)])
    (first,) = note(store_with_window)
    assert note(store_with_window) == [first]
    store_with_window.append([annotation_event(1, "A", task=1, parent_prediction=101, second=9)])
    (newer,) = note(store_with_window)

    assert (newer.changed, newer.annotation) == (False, first.annotation)
    assert replace(newer, at_s=first.at_s, answer=B, changed=True, reason=NOT_GIVEN) == first


def test_the_draws_of_second_looks_are_their_own():
    units = [f"7/{number}" for number in range(2000)]
    second, audit = draws("key", "second look", units), draws("key", "audit", units)

    assert abs(sum(row < 0.1 for row in second) - 200) < 60
    both = sum(row < 0.1 and other < 0.1 for row, other in zip(second, audit, strict=True))
    assert both < 45  # independent: 20 expected


def snapshot_of(store: Store, text: str) -> ProjectSnapshot:
    project = store.projects.get_project("1")
    assert project is not None
    return load_snapshot(store, project, read_policy(text))


def a_look(answer: Answer = B, **more: object) -> ReviewRow:
    made = ReviewRow(
        "9", 1, 5, 1, "L2", 0.0, 7, "fix", answer, "boundary", "", {}, A, "", 1.0, None, counted=True, refused=""
    )
    return replace(made, **more)


def a_case(**more: object) -> CaseRow:
    prediction = {"model": "m3", "answer": A.key, "confidence": 0.7, "reasons": None}
    made = CaseRow(
        "1", 1, "queued", "L2", proposal=A, proposed_by="model", confidence=0.8, model="m2", prediction=prediction
    )
    return replace(made, **more)


@pytest.mark.parametrize(
    ("case", "held"),
    [
        (a_case(), (A, "m2", 0.8)),
        (a_case(proposal=B, proposed_by="people"), (A, "m3", 0.7)),  # what the first tier said is not the model's
        (a_case(proposal=B, proposed_by="L2", tier="L3"), (A, "m3", 0.7)),
        (a_case(proposal=B, proposed_by="people", prediction={}), None),
        (a_case(proposal=None, proposed_by=""), (A, "m3", 0.7)),
        (a_case(proposal=B, proposed_by="people", rule="second look"), None),  # it may have learned that very answer
        (a_case(proposal=B, proposed_by="L2", round=2), None),
    ],
)
def test_a_reviewers_answer_is_held_against_the_models_and_nobody_elses(
    store_with_window: Store, case: CaseRow, held: tuple[Answer, str, float] | None
):
    row = override_of_review(a_look(), snapshot_of(store_with_window, "[tiers.L1]\n[tiers.L2]\n[tiers.L3]"), case)

    assert (None if row is None else (row.shown, row.model, row.confidence)) == held
    assert row is None or (row.changed, row.blind, row.reason) == (True, False, "boundary")


def test_who_reads_blind_is_held_against_the_model_too(store_with_window: Store):
    snapshot = snapshot_of(store_with_window, "[tiers.L1]\n[tiers.L2]\nblind = true")
    row = override_of_review(a_look(verdict="answer", shown=None, reason=""), snapshot, a_case())

    assert row is not None
    assert (row.blind, row.changed, row.shown, row.reason) == (True, True, A, "")
    assert override_of_review(a_look(counted=False), snapshot, a_case()) is None
