from __future__ import annotations

from dataclasses import replace

from feedback.policy import Policy, read_policy
from feedback.project.audit_splits import Splits
from feedback.project.guidelines import record_guideline
from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import agreement_figures
from feedback.store import ProjectRow, Store, Vote
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer

CONFIG = read_label_config(
    '<View><Text name="t" value="$t"/><Choices name="c" toName="t"><Choice value="hate"/>'
    '<Choice value="offensive"/><Choice value="none"/></Choices></View>'
)


def snapshot(pairs: dict[int, tuple[str, str]], doubled: range) -> ProjectSnapshot:
    votes = tuple(
        Vote(task, "c", person, Answer("choices", (label,)), 10 * task + person, 0.0, None, None)
        for task, labels in pairs.items()
        for person, label in enumerate(labels)
    )
    project = ProjectRow("7", label_config=CONFIG.xml)
    draws = Splits("key", "7", 0.1, 0.1)
    return ProjectSnapshot(project, Policy(), CONFIG.control(), CONFIG, draws, {}, {}, {}, frozenset(doubled), votes)


UNCLEAR = {
    task: ("none", "none") if task % 3 == 0 else ("hate", "offensive") if task % 3 == 1 else ("hate", "hate")
    for task in range(60)
}


def test_an_unclear_task_is_reported_with_its_confused_labels_and_ten_tasks_to_open(store: Store):
    body = agreement_figures(store, snapshot(UNCLEAR, range(60)))

    assert body is not None
    assert body["kappa"]["items"] == body["percent"]["items"] == 60
    assert "the task definition is unclear" in body["reading"]
    assert "hate ↔ offensive (100% of all disagreement)" in body["reading"]
    assert body["confused_labels"] == {"answers": ["hate", "offensive"], "share": 1.0}
    assert len(body["open_first"]) == 10
    assert all(task % 3 == 1 for task in body["open_first"])


def test_the_measure_of_the_policy_is_used(store: Store):
    wanted = read_policy('[overlap]\nmeasure = "ac1"')
    body = agreement_figures(store, replace(snapshot(UNCLEAR, range(60)), policy=wanted))

    assert body is not None
    assert body["reading"].casefold().startswith("ac1 ")


def test_agreement_on_chosen_tasks_is_not_reported(store: Store):
    hard = snapshot(UNCLEAR, range(0))

    assert agreement_figures(store, hard) is None
    assert agreement_figures(store, replace(hard, overlap_sample=frozenset({0, 3})))["percent"]["value"] == 1.0


def test_agreement_is_reported_before_and_after_a_change_of_the_guideline(store: Store):
    unclear = snapshot(UNCLEAR, range(60))
    clear = snapshot({task: ("none", "none") if task % 2 else ("hate", "hate") for task in range(60, 90)}, range(90))
    later = tuple(replace(vote, at_s=50.0) for vote in clear.votes)
    body = {"label_config": CONFIG.xml, "expert_instruction": "hate is aimed at a group"}
    assert record_guideline(store, "7", body | {"expert_instruction": ""}, now_s=0.0)
    assert not record_guideline(store, "7", body | {"expert_instruction": ""}, now_s=1.0)
    assert record_guideline(store, "7", body, now_s=20.0)
    found = agreement_figures(store, replace(clear, votes=unclear.votes + later))

    assert found is not None
    change = found["guideline"]
    assert change["changed_s"] == 20.0
    assert change["before"]["value"] < 0.6 < change["after"]["value"] == 1.0
    assert (change["before"]["items"], change["after"]["items"]) == (60, 30)
