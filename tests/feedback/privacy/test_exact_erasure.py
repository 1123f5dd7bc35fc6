"""Erasure is exact: what a person wrote goes from every place, and no value of anybody else changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feedback.privacy.erasure_and_access import erase_person_or_task
from feedback.review.review_task_content import HISTORY
from feedback.store.tables.personal_data import DataSubject, redact
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, PROJECT, World, open_world, policy_text

PANEL = 'protocol = "panel"\npanel = 3'
# parts of each other, of labels and verdicts, other cases and Unicode forms of the same text
COMMENTS = [
    "ok",
    "broken",
    "OK",
    "Al",
    "Alice said so",
    "person 1",
    "person 12",
    "tool",
    "\ufb01x",
    "fix",
    "\u00e9",
    "e\u0301",
    ";",
    "L2",
]


def reviewed_by_three(world: World, comments: dict[int, str]) -> int:
    """Three reviewers of L2 hand a case on with a comment each; L3 sees them."""
    world.use(policy_text(l2=PANEL), overlap=2)
    (task,) = world.site.add("a1 apple red")
    world.turn()
    world.disagree(task)
    for person, comment in comments.items():
        world.review("L2", "escalate", "tool", person=person, reason="guideline_gap", comment=comment)
    world.turn()
    world.turn()
    return task


def history(world: World) -> list[dict[str, str]]:
    (task,) = world.site.waiting(world.site.review_project_of("L3"), BEN)
    return list(task.data[HISTORY])


def texts(lines: list[dict[str, str]]) -> list[str]:
    return [line["text"] for line in lines]


def rows_of_others(world: World, person: int) -> list[dict[str, Any]]:
    return [asdict(row) for row in world.store.reviews.list_reviews(PROJECT) if row.person not in (person, None)]


def forget(world: World, person: int, *, reached: bool = True) -> tuple[int, ...]:
    platform = world.site if reached else None
    return erase_person_or_task(
        world.store, PROJECT, person=person, platform=platform, now_s=world.site.seconds()
    ).not_updated


def test_a_comment_that_is_part_of_anothers_takes_only_itself_away(world: World):
    reviewed_by_three(world, {CLEO: "ok", DAN: "the photo is broken", EVA: "ok"})
    before = history(world)

    forget(world, CLEO)

    after = history(world)
    changed = [(old["text"], new["text"]) for old, new in zip(before, after, strict=True) if old != new]
    assert [new for _old, new in changed] == ["(forgotten)"]
    assert changed[0][0].endswith("; ok")
    assert [text.endswith(("broken", "; ok")) for text in texts(after)[-2:]] == [True, True]


def test_a_vote_that_later_reviewers_were_shown_goes_too(world: World):
    reviewed_by_three(world, {CLEO: "a", DAN: "b", EVA: "c"})
    assert texts(history(world))[:2] == ["fruit", "tool"]

    forget(world, ADA)

    assert texts(history(world))[:2] == ["(forgotten)", "tool"]


def test_what_label_studio_still_shows_is_replaced_when_the_command_runs_again(world: World):
    reviewed_by_three(world, {CLEO: "a secret", DAN: "b", EVA: "c"})

    (waits,) = forget(world, CLEO, reached=False)
    assert "a secret" in str(history(world))
    assert forget(world, CLEO) == ()
    assert waits in {task.id for tasks in world.site.review_tasks.values() for task in tasks.values()}
    assert "a secret" not in str(history(world))
    report = erase_person_or_task(world.store, PROJECT, person=CLEO, platform=world.site, now_s=1.0)
    assert report.n_review_tasks == 0  # nothing is left to do


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comments=st.lists(st.sampled_from(COMMENTS), min_size=3, max_size=3), person=st.sampled_from([CLEO, DAN, EVA]))
def test_every_other_value_stays_as_it_was(tmp_path_factory: pytest.TempPathFactory, comments: list[str], person: int):
    with open_world(tmp_path_factory.mktemp("exact")) as world:
        written = dict(zip((CLEO, DAN, EVA), comments, strict=True))
        reviewed_by_three(world, written)
        before, rows = history(world), rows_of_others(world, person)

        forget(world, person)

        after = history(world)
        changed = [place for place, line in enumerate(before) if after[place] != line]
        assert len(changed) == 1
        assert before[changed[0]]["text"].endswith(f"; {written[person]}".strip())
        assert after[changed[0]]["text"] == "(forgotten)"
        assert rows_of_others(world, person) == rows
        blanked = [row for row in world.store.reviews.list_reviews(PROJECT) if row.person is None]
        assert [row.comment for row in blanked] == [""]


def test_a_record_of_gold_tasks_names_an_erased_task_no_more():
    body = {"add": {"5": ["A", "u"], "6": ["B", "v"]}, "drop": [4, 5], "retire": [5], "imported": True}

    left = redact(body, DataSubject("1", tasks=frozenset({5})), "gold")

    assert left == {"add": {"6": ["B", "v"]}, "drop": [4], "retire": [], "imported": True}


@pytest.mark.parametrize(
    "body",
    [
        {"person": 12, "note": "1"},
        {"person": "1"},
        {"person": True, "why": "x"},
        {"people": {"12": {"votes": 3}, "01": {"votes": 4}}},
        {"people": [12, 21], "n": 1},
        {"by": "ann@example.com.au", "text": "ann@example.com wrote it"},
        {"address": "\uff41nn@example.com"},
    ],
)
def test_a_number_or_an_address_within_another_is_not_the_persons(body: dict[str, Any]):
    assert redact(body, DataSubject("1", person=1, emails=frozenset({"ann@example.com"}))) == body
