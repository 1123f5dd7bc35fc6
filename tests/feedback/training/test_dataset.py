from __future__ import annotations

from feedback.training.dataset import ConsensusLabel, build
from ml_backend.records import Answer


def settled(task: int, *labels: str) -> ConsensusLabel:
    return ConsensusLabel(task, Answer("choices", labels), 1, 1.0, (task + 100,))


DATA = {task: {"text": f"task {task}"} for task in range(6)}
ROLES = {0: "train", 1: "tune", 2: "judge", 3: "certify", 4: "train", 5: "train"}


def test_rows_come_with_their_role_and_their_annotations():
    rows = build("c", ("a", "b"), [settled(4, "a"), settled(1, "b"), settled(0, "b")], DATA, ROLES)

    assert [(row.task, row.label) for row in rows.of("train")] == [(0, "b"), (4, "a")]
    assert [row.task for row in rows.audit] == [1]
    assert rows.of("train")[0].annotations == (100,)


def test_labels_that_the_config_no_longer_knows_are_left_out():
    rows = build("c", ("a",), [settled(0, "a"), settled(4, "stale"), settled(5, "a", "b")], DATA, ROLES)

    assert [row.task for row in rows.rows] == [0]


def test_a_vanished_task_is_left_out():
    assert build("c", ("a",), [settled(99, "a")], DATA, ROLES).rows == ()


def test_the_fingerprint_names_what_models_learn_from_and_nothing_else():
    first = build("c", ("a", "b"), [settled(0, "a"), settled(1, "b")], DATA, ROLES)
    reordered = build("c", ("a", "b"), [settled(1, "b"), settled(0, "a")], DATA, ROLES)
    judged_too = build("c", ("a", "b"), [settled(0, "a"), settled(1, "b"), settled(2, "a")], DATA, ROLES)
    changed = build("c", ("a", "b"), [settled(0, "b"), settled(1, "b")], DATA, ROLES)

    assert first.fingerprint == reordered.fingerprint == judged_too.fingerprint
    assert changed.fingerprint != first.fingerprint
