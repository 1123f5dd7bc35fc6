from __future__ import annotations

import pytest

from feedback.errors import VotesError
from feedback.project.guidelines import list_guidelines
from feedback.project.label_changes import apply_label_changes, list_label_changes, record_label_change
from feedback.store import Store, Vote
from feedback.store.database.engine import dumps
from feedback.store.tables import main_tables
from ml_backend.records import Answer

LABELS = ("spam", "ham", "advert", "fraud")


def vote(task: int, *labels: str, person: int = 1, at_s: float = 5.0) -> Vote:
    return Vote(task, "kind", person, Answer("choices", labels), 10 * task + person, at_s, None, None)


def test_a_renamed_label_is_translated_and_nobody_is_asked(store: Store):
    all_votes = [vote(1, "spam"), vote(2, "ham"), vote(3, "ham", "spam")]
    record_label_change(store, "7", all_votes, LABELS, label="spam", to="advert", now_s=9.0)
    found = apply_label_changes(all_votes, list_label_changes(store, "7"))

    assert [one.answer.value for one in found.votes] == [("advert",), ("ham",), ("advert", "ham")]
    assert found.stale == {}


def test_a_split_label_is_stale_until_people_answer_again(store: Store):
    all_votes = [vote(1, "spam"), vote(1, "ham", person=2), vote(2, "spam")]
    record_label_change(store, "7", all_votes, LABELS, label="spam", split=("advert", "fraud"), now_s=9.0)
    found = apply_label_changes(all_votes, list_label_changes(store, "7"))
    edited = apply_label_changes([vote(2, "fraud", at_s=6.0), vote(3, "spam")], list_label_changes(store, "7"))

    assert [(one.task, one.person) for one in found.votes] == [(1, 2)]
    assert found.stale == {1: 1, 2: 1}
    assert [one.task for one in edited.votes] == [2, 3]  # changed since, and given since


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("labels", ((0, 4, "spam"), (0, 4, "advert"), (9, 12, "ham")), ((0, 4, "advert"), (9, 12, "ham"))),
        ("rectanglelabels", ((1.0, 2.0, 3.0, 4.0, 0.0, 1.0, "spam"),), ((1.0, 2.0, 3.0, 4.0, 0.0, 1.0, "advert"),)),
        ("taxonomy", (("spam", "ham"), ("ham",)), (("advert", "ham"), ("ham",))),
    ],
)
def test_labels_of_spans_boxes_and_paths_are_translated_too(store: Store, kind: str, before: tuple, after: tuple):
    all_votes = [Vote(1, "kind", 1, Answer(kind, before), 11, 5.0, None, None)]
    record_label_change(store, "7", all_votes, LABELS, label="spam", to="advert", now_s=9.0)
    (found,) = apply_label_changes(all_votes, list_label_changes(store, "7")).votes

    assert found.answer.kind == kind
    assert sorted(found.answer.value) == sorted(after)  # type: ignore[call-overload]


def test_changes_follow_each_other(store: Store):
    all_votes = [vote(1, "spam"), vote(2, "advert")]
    record_label_change(store, "7", all_votes, LABELS, label="spam", to="advert", now_s=1.0)
    record_label_change(
        store,
        "7",
        apply_label_changes(all_votes, list_label_changes(store, "7")).votes,
        LABELS,
        label="advert",
        split=("fraud",),
        now_s=2.0,
    )

    assert apply_label_changes(all_votes, list_label_changes(store, "7")).votes == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "spam", "to": "advertt"}, "not in the label config"),
        ({"label": "spam", "split": ("spam", "fraud")}, "cannot become itself"),
        ({"label": "fraud"}, "no answer in project 7"),
    ],
)
def test_what_makes_no_sense_is_refused(store: Store, change: dict[str, object], message: str):
    with pytest.raises(VotesError, match=message):
        record_label_change(store, "7", [vote(1, "spam")], LABELS, now_s=1.0, **change)  # type: ignore[arg-type]
    assert list_label_changes(store, "7") == []


def test_no_label_change_and_no_guideline_is_left_out_of_a_long_history(store: Store):
    body = {"label": "spam", "to": "advert", "split": [], "versions": []}
    guideline = {"hash": "a", "label_config": "b", "instruction": "c"}
    rows = [
        {"project": "7", "kind": kind, "key": None, "body": dumps(content | {"at_s": number}), "at_s": 0.0}
        for number in range(10_001)
        for kind, content in (("relabel", body), ("guideline", guideline))
    ]
    with store._database.write() as connection:
        connection.execute(main_tables.record.insert(), rows)

    assert [change.at_s for change in list_label_changes(store, "7")] == list(range(10_001))
    assert [guideline.at_s for guideline in list_guidelines(store, "7")] == list(range(10_001))
