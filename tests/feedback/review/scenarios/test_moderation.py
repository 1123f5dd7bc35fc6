"""Moderation through three tiers, on both platforms: drafts, deletions, and the model that learns from it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import pytest

from feedback.policy import read_policy
from feedback.project.snapshot import load_splits
from feedback.routing.router import explain_decision
from feedback.training.challenger import learned_annotations
from ml_backend.registry import unpack
from tests.feedback.review.scenarios.scenario_checks import REST, list_review_texts, whole
from tests.support.review_world import ADA, BEN, CLEO, DAN, EVA, FAY, World

MODERATION = """
[[routing]]
id = "huge"
when = { data.text.contains = "huge" }
to = "L2"
reason = "a large amount"
priority = "urgent"
[[routing]]
id = "two-people"
when = { data.text.contains = "twice" }
to = "L1"
overlap = 2
[[routing]]
id = "sure"
when = { model.confidence.gte = 0.5 }
to = "auto"
tier = "L1"
[[routing]]
id = "default"
to = "L1"
[tiers.L1]
resolve = "1h"
on_breach = "escalate"
[tiers.L2]
resolve = "2h"
on_breach = "escalate"
[tiers.L3]
protocol = "panel"
panel = 3
own_cases = true
[second_look]
share = 0.0
""" + REST.format(rows=8, audit=0.4)


@pytest.mark.slow
def test_moderation_goes_through_three_tiers_and_back_into_the_model(world: World) -> None:
    site = world.site
    world.use(MODERATION)
    drawn = (*["train"] * 5, "tune", "judge", "judge")
    tasks = site.add(*_texts(world, "apple pear plum ripe", drawn), *_texts(world, "hammer saw drill steel", drawn))
    assert world.turn().notes == ()

    # L1: people answer, and the first model is there
    for task, label in [*((row, "fruit") for row in tasks[:8]), *((row, "tool") for row in tasks[8:])]:
        site.answer(task, label, person=ADA)
    turns = [world.turn() for _ in range(3)]
    first = turns[-1].version
    assert first, [turn.verdict for turn in turns]
    assert {world.case(task).state for task in tasks} == {"resolved"}

    # auto: refused until there are certificates, so people decide; two differ over one; one goes straight to L2
    disputed, sure, late, huge = site.add(*_unseen(world))
    world.turn()
    (decision,) = world.store.decisions.list_decisions(world.project, task=sure)[:1]
    replayed = explain_decision(world.store, world.project, decision)
    assert (decision.standing.rule, decision.standing.outcome) == ("sure", "L1")
    assert "no certificate allows it yet" in decision.standing.refused
    assert replayed.same
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        site.answer(disputed, label, person=person)
        world.turn()
    site.answer(sure, "fruit", person=BEN)
    world.turn()
    assert world.trail(sure) == ["open", "settle"]
    assert [world.case(row).tier for row in (disputed, huge, late)] == ["L2", "L2", "L1"]

    # L2: the urgent one first, with why it is here; the disputed one goes on with what was said
    handed = world.review("L2", "fix", "fruit", person=CLEO, reason="wrong_label", comment="see page 3")
    assert handed == world.case(huge).review_task
    assert list_review_texts(world, "L2", disputed) == ["fruit", "tool"]
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment="is a toy a tool?")
    world.turn()
    assert (world.case(huge).state, site.final(huge)) == ("resolved", "fruit")
    (override,) = [
        row for row in world.store.overrides.list_overrides(world.project) if row.task == huge and row.changed
    ]
    assert (override.shown.value, override.answer.value, override.reason) == (("tool",), ("fruit",), "wrong_label")  # type: ignore[union-attr]
    assert (override.model, override.tier, override.blind) == (first, "L2", False)

    # L3: a panel of three, one of whom differs
    assert list_review_texts(world, "L3", disputed)[2] == "escalate: tool; The guideline does not say; is a toy a tool?"
    for person, label in ((DAN, ""), (EVA, "fruit"), (FAY, "")):
        reason = "boundary" if label else ""
        world.review("L3", "fix" if label else "accept", label, person=person, reason=reason)
        world.turn()
    assert site.final(disputed) == "tool"
    assert world.trail(disputed) == [
        "open", "start", "escalate", "assign", "escalate", "assign", "review", "review", "decide", "write",
    ]  # fmt: skip

    # nobody looks at the last one: its clock sends it up, and its answer comes back, too
    site.pass_time(2 * 3600)
    world.turn()
    assert (world.case(late).tier, world.case(late).breaches) == ("L2", 1)
    world.review("L2", "accept", person=EVA)
    turns = [world.turn() for _ in range(3)]

    # the serving model has learned from what came back, as it was decided
    assert turns[-1].version != first
    training = world.store.records.get_latest_record(world.project, "training", key=turns[-1].version)
    assert training is not None
    assert {disputed, huge, late} <= set(training.body["tasks"])
    assert predicted_label(world, turns[-1].version, disputed) == "tool"
    assert learned_annotations(world.store, world.project, turns[-1].version)
    whole(world)
    before = world.store.verify()["events"]
    assert world.turn().notes == ()
    assert world.store.verify()["events"] == before


def _unseen(world: World) -> list[str]:
    """Texts for a story that models may learn from: the draws of the audit stream pass over them."""
    four = ("hammer pear twice", "apple pear plum", "saw steel plum", "drill huge")
    return [_texts(world, words, ["train"])[0] for words in four]


def _texts(world: World, words: str, roles: Sequence[str]) -> list[str]:
    """Texts that have these roles in this project, whatever its number."""
    draws = load_splits(world.store, world.row, read_policy(MODERATION))
    texts = (f"{words} {number}" for number in count())
    with_roles = ((item, draws.roles([draws.dedup_key({"text": item})])[0]) for item in texts)
    return [next(text for text, role in with_roles if role == wanted) for wanted in roles]


def predicted_label(world: World, version: str, task: int) -> str:
    artefact = world.store.registry.artefact(world.project, version)
    bundle = unpack(artefact.data, artefact.digest)
    ((answer, _confidence),) = bundle.predict([world.store.tasks.list_tasks(world.project, only=[task])[0].data])
    assert answer is not None
    return str(answer.value[0])  # type: ignore[index]


def test_a_draft_counts_as_a_beginning_and_stops_the_clock_of_the_first_action(world: World) -> None:
    site = world.site
    world.use(MODERATION.replace('[tiers.L2]\nresolve = "2h"', '[tiers.L2]\nfirst_action = "10m"'))
    first, second = site.add(*_texts(world, "huge", ["train", "train"]))
    world.turn()
    copy = world.case(first).review_task
    assert copy
    site.draft(copy, person=CLEO)
    world.turn()
    site.pass_time(11 * 60)
    world.turn()

    assert (world.case(first).state, world.case(first).tier, world.case(first).breaches) == ("started", "L2", 0)
    assert world.store.cases.list_case_events(world.case(first).id)[-1].person == site.number(CLEO)
    assert (world.case(second).tier, world.case(second).breaches) == ("L3", 1)


def test_copies_and_review_projects_that_somebody_deletes_are_made_again(world: World) -> None:
    site = world.site
    world.use(MODERATION)
    first, second = site.add(*_texts(world, "huge", ["train", "train"]))
    world.turn()
    review_project, copy = site.review_project_of("L2"), world.case(first).review_task
    assert copy
    site.delete_review_task_by_hand(review_project, copy)
    site.run_full_sync(world.store, review_project)
    world.turn()
    assert len(site.waiting(review_project, CLEO)) == 2

    site.delete_review_project(review_project)
    world.turn()
    world.turn()
    made = world.store.review_projects.list_review_projects(world.project)["L2"].id
    assert made != review_project
    for _ in range(2):
        world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    world.turn()
    assert [site.final(task) for task in (first, second)] == ["tool", "tool"]
    whole(world)
