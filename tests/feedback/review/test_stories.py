"""Whole stories of review, each played twice by the same words: in memory, and on a real Label Studio."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from feedback.learning.challenge import learned_annotations
from feedback.learning.scene import project_draws
from feedback.policy import read_policy
from feedback.posting import post
from feedback.reports.review import measured
from feedback.review.cases import Book
from feedback.review.rights import proofs
from feedback.review.rooms import known_rooms
from feedback.review.tiers import FACTS, HISTORY, KEY
from feedback.routing import why
from feedback.signals import SignalDoor
from feedback.store import open_store
from ml_backend.registry import unpack
from tests.feedback.review.world import ADA, BEN, CLEO, DAN, EVA, FAY, World
from tests.support import stores
from tests.support.fake_rooms import FakeSite
from tests.support.real_rooms import NAMES, RealSite
from tests.support.trails import broken

REST = """
[queue]
window = 40
head = 2
[overlap]
share = 0.0
max_votes = 2
[train]
min_rows = {rows}
min_new = 1
growth = 0.0
[audit]
share = {audit}
start = 0
"""


@pytest.fixture(params=["in memory", pytest.param("on Label Studio", marks=pytest.mark.e2e)])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same world twice; everybody has an address, whether or not a policy names it."""
    store = open_store(stores.empty(tmp_path / "hitl.sqlite3"), durability="normal")
    store.set_secret("draws", "the same draws in every run")
    people = {number: f"{name}@example.com" for number, name in NAMES.items()}
    if request.param == "in memory":
        yield World(store, tmp_path / "models", FakeSite(people=people), post=post)
    else:
        site = RealSite(request.getfixturevalue("site"), store)
        try:
            yield World(store, tmp_path / "models", site, post=post, project=site.project)
        finally:
            site.close()
    store.close()


class Told:
    """Somebody outside who is told things."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def says(self, what: str) -> list[int]:
        """The tasks of which that was said."""
        return [one["task"] for one in self.heard if what in one["what"]]


@contextmanager
def listening() -> Iterator[tuple[str, Told]]:
    told = Told()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/told", told
    finally:
        server.shutdown()
        server.server_close()


def said(world: World, tier: str, task: int) -> list[str]:
    """What a reviewer reads of what was said before."""
    copy = world.case(task).review_task
    assert copy
    (found,) = world.store.tasks(world.site.room_of(tier), only=[copy])
    return [line["said"] for line in found.data[HISTORY]]


def whole(world: World) -> None:
    """Every case's trail is complete, and nothing was written twice."""
    cases = world.store.cases(world.project)
    assert {case.id: found for case in cases if (found := broken(world.store, case))} == {}
    for case in cases:
        rounds = sum(step.event == "write" and step.note.startswith("written") for step in world.store.steps(case.id))
        assert world.site.written(case.task) == rounds
    found = world.store.verify()
    assert (found["chain"], found["projection"]) == ("ok", "ok")


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


def test_moderation_goes_through_three_tiers_and_back_into_the_model(world: World) -> None:
    site = world.site
    world.use(MODERATION)
    drawn = (*["train"] * 5, "tune", "judge", "judge")
    tasks = site.add(*_texts(world, "apple pear plum ripe", drawn), *_texts(world, "hammer saw drill steel", drawn))
    assert world.turn().notes == ()

    # L1: people answer, and the first model is there
    for task, label in [*((one, "fruit") for one in tasks[:8]), *((one, "tool") for one in tasks[8:])]:
        site.answer(task, label, person=ADA)
    turns = [world.turn() for _ in range(3)]
    first = turns[-1].version
    assert first, [turn.verdict for turn in turns]
    assert {world.case(task).state for task in tasks} == {"resolved"}

    # auto: refused until there are certificates, so people decide; two differ over one; one goes straight to L2
    disputed, sure, late, huge = site.add(*_unseen(world))
    world.turn()
    (decision,) = world.store.decisions(world.project, task=sure)[:1]
    replayed = why(world.store, world.project, decision)
    assert (decision.standing.rule, decision.standing.outcome) == ("sure", "L1")
    assert "certificates come in step 7" in decision.standing.refused
    assert replayed.same
    for person, label in ((ADA, "fruit"), (BEN, "tool")):
        site.answer(disputed, label, person=person)
        world.turn()
    site.answer(sure, "fruit", person=BEN)
    world.turn()
    assert world.trail(sure) == ["open", "settle"]
    assert [world.case(one).tier for one in (disputed, huge, late)] == ["L2", "L2", "L1"]

    # L2: the urgent one first, with why it is here; the disputed one goes on with what was said
    handed = world.review("L2", "fix", "fruit", person=CLEO, reason="wrong_label", comment="see page 3")
    assert handed == world.case(huge).review_task
    assert said(world, "L2", disputed) == ["fruit", "tool"]
    world.review("L2", "escalate", "tool", person=CLEO, reason="guideline_gap", comment="is a toy a tool?")
    world.turn()
    assert (world.case(huge).state, site.final(huge)) == ("resolved", "fruit")
    (override,) = [one for one in world.store.overrides(world.project) if one.task == huge]
    assert (override.shown.value, override.said.value, override.reason) == (("tool",), ("fruit",), "wrong_label")  # type: ignore[union-attr]
    assert (override.model, override.tier, override.blind) == (first, "L2", False)

    # L3: a panel of three, one of whom differs
    assert said(world, "L3", disputed)[2] == "escalate: tool; The guideline does not say; is a toy a tool?"
    for person, label in ((DAN, ""), (EVA, "fruit"), (FAY, "")):
        reason = "boundary" if label else ""
        world.review("L3", "fix" if label else "accept", label, person=person, reason=reason)
        world.turn()
    assert site.final(disputed) == "tool"
    assert world.trail(disputed) == [
        "open", "start", "escalate", "place", "escalate", "place", "look", "look", "decide", "write",
    ]  # fmt: skip

    # nobody looks at the last one: its clock sends it up, and its answer comes back, too
    site.pass_time(2 * 3600)
    world.turn()
    assert (world.case(late).tier, world.case(late).breaches) == ("L2", 1)
    world.review("L2", "accept", person=EVA)
    turns = [world.turn() for _ in range(3)]

    # the serving model has learned from what came back, as it was decided
    assert turns[-1].version != first
    training = world.store.latest(world.project, "training", key=turns[-1].version)
    assert training is not None
    assert {disputed, huge, late} <= set(training.body["tasks"])
    assert _says(world, turns[-1].version, disputed) == "tool"
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
    row = world.store.project(world.project)
    assert row is not None
    draws = project_draws(world.store, row, read_policy(MODERATION))
    texts = (f"{words} {number}" for number in count())
    with_roles = ((one, draws.roles([draws.unit({"text": one})])[0]) for one in texts)
    return [next(text for text, role in with_roles if role == wanted) for wanted in roles]


def _says(world: World, version: str, task: int) -> str:
    artefact = world.store.registry.artefact(world.project, version)
    bundle = unpack(artefact.data, artefact.digest)
    ((answer, _confidence),) = bundle.predict([world.store.tasks(world.project, only=[task])[0].data])
    assert answer is not None
    return str(answer.value[0])  # type: ignore[index]


REFUNDS = """
[[routing]]
id = "very-large"
when = { data.amount.gte = 5000 }
to = "supervisor"
reason = "a very large amount"
[[routing]]
id = "new-customer"
when = { data.amount.gte = 100, data.standing.in = ["new", "watch"] }
to = "desk"
reason = "the customer is new or watched"
queue = "refunds"
[[routing]]
id = "default"
to = "triage"
[tiers.triage]
[tiers.desk]
title = "Refund desk"
resolve = "10m"
at_risk = 0.8
on_breach = "reassign"
notify = ["crm"]
[tiers.supervisor]
resolve = "10m"
on_breach = "escalate"
notify = ["crm"]
[rights]
tier = "desk"
within = "10m"
[second_look]
share = 0.0
[notify.crm]
url = "URL"
""" + REST.format(rows=500, audit=0.0)


def test_refunds_are_routed_by_amount_and_standing_against_a_ten_minute_clock(world: World) -> None:
    site = world.site
    with listening() as (url, told):
        small, watched, _good, large = site.add_rows(
            {"text": "a mug", "amount": 20, "standing": "new"},
            {"text": "a lamp", "amount": 400, "standing": "watch"},
            {"text": "a chair", "amount": 400, "standing": "good"},
            {"text": "a car", "amount": 9000, "standing": "good"},
        )
        world.use(REFUNDS.replace("URL", url))
        world.turn()
        cases = {case.task: case.tier for case in world.store.cases(world.project)}
        assert cases == {watched: "desk", large: "supervisor"}
        assert world.store.routed(world.project)  # the small one and the good customer are asked in the first tier

        # somebody asks for a person, and wants to be called back
        body = {"project": world.project, "task": small, "signal": "human_review", "id": "letter-1", "callback": "crm"}
        SignalDoor(world.store, clock=site.seconds)(body)
        world.turn()
        assert world.case(small).tier == "desk"
        assert world.case(small).due_s == pytest.approx(world.case(small).entered_s + 600)

        # the reviewer asks something: that clock stands still, while the other one is at risk, then runs out
        asked, old = world.case(small).review_task, world.case(watched).review_task
        assert asked
        assert old
        world.review("desk", "guideline", person=CLEO, task=asked, reason="guideline_gap", comment="is a mug china?")
        world.turn()
        left_s = world.case(small).due_s - world.case(small).paused_s  # type: ignore[operator]
        site.pass_time(8.5 * 60)
        world.turn()
        assert sorted(told.says("at risk")) == sorted([watched, large])
        assert world.case(watched).state == "queued"
        site.pass_time(2 * 60)
        world.turn()
        case = world.case(watched)
        assert (case.state, case.tier, case.breaches, case.copies) == ("queued", "desk", 1, 2)
        assert world.trail(watched) == ["open", "place", "warn", "reassign", "place"]
        assert sorted(told.says("has run out")) == sorted([watched, large])
        keys = [one.data[KEY] for one in site.waiting(site.room_of("desk"), DAN)]
        assert keys == [f"case-{case.id}-1-desk-2"]  # the old copy is gone, and the new one stands
        assert (world.case(small).state, world.case(small).breaches) == ("waiting", 0)

        # the answer comes: the clock goes on with what was left of it, the next reviewer reads it
        book = Book(world.store, world.project, read_policy(REFUNDS.replace("URL", url)), now_s=site.seconds())
        book.move(world.case(small), "answered", note="china is pottery, too")
        world.turn()
        assert world.case(small).due_s == pytest.approx(book.now_s + left_s)
        assert said(world, "desk", small)[-1] == "china is pottery, too"
        for task, label in ((watched, "fruit"), (small, "tool")):
            world.review("desk", "fix", label, person=DAN, reason="wrong_label", task=world.case(task).review_task)
        world.review("supervisor", "fix", "tool", person=EVA, reason="wrong_label")
        for _ in range(3):
            world.turn()

        assert [site.final(task) for task in (watched, small, large)] == ["fruit", "tool", "tool"]
        assert told.says("decided") == [small]  # once, and only whoever asked
        (call,) = [one for one in told.heard if one["what"] == "decided"]
        assert (call["answer"], call["project"]) == ("tool", world.project)
        (proof,) = proofs(world.store, world.project)
        assert (proof.decided_by_person, proof.in_time) == (True, True)  # the promise stood still meanwhile, too
        assert world.case(large).breaches == 1  # told once: there is nobody above
        assert told.says("has run out").count(large) == 1
        whole(world)


READERS = """
[tiers.L1]
[tiers.L2]
protocol = "two-reader"
skills = ["german"]
[tiers.L3]
[second_look]
share = 0.0
[people."ada@example.com"]
tiers = ["L1"]
[people."ben@example.com"]
tiers = ["L1", "L2"]
skills = ["german"]
[people."cleo@example.com"]
tiers = ["L2"]
skills = ["german"]
[people."dan@example.com"]
tiers = ["L2"]
skills = ["english"]
[people."eva@example.com"]
tiers = ["L2"]
skills = ["german"]
[people."fay@example.com"]
tiers = ["L2"]
skills = ["german"]
""" + REST.format(rows=500, audit=0.0)


def test_two_readers_and_a_third_while_answers_that_do_not_count_open_the_case_again(world: World) -> None:
    site = world.site
    (task,) = site.add("ein Apfel")
    world.use(READERS, overlap=2)
    world.turn()
    world.disagree(task)
    room = site.room_of("L2")
    copy = world.case(task).review_task
    assert copy

    # nobody decides their own case, nobody without the skill, nobody who contradicts themself or gives no reason
    world.review("L2", "fix", "tool", person=BEN, reason="boundary")
    world.turn()
    assert "has answered this case before" in world.notes(task)[-1]
    world.review("L2", "fix", "tool", person=DAN, reason="boundary")
    world.turn()
    assert world.notes(task)[-1] == "lacks what this case needs: german"
    world.review("L2", "accept", "tool", person=CLEO)
    world.turn()
    assert world.notes(task)[-1] == "accepts, but nothing was shown"
    site.change(room, copy, person=CLEO, verdict="fix", label="tool")
    world.turn()
    assert "gives no reason" in world.notes(task)[-1]
    assert world.trail(task)[-4:] == ["refuse"] * 4
    assert [one.id for one in site.waiting(room, EVA)] == [copy]

    # she says it once more, with a reason: the first of two readers; the second is told nothing of it
    site.change(room, copy, person=CLEO, verdict="fix", label="tool", reason="boundary")
    world.turn()
    assert world.trail(task)[-1] == "look"
    assert len(said(world, "L2", task)) == 2
    world.review("L2", "fix", "fruit", person=EVA, reason="boundary")
    world.turn()
    assert world.notes(task)[-1] == "two readers differ; a third settles it"

    # the third reads what both said, and settles it
    (third,) = site.waiting(room, FAY)
    lines = [line["said"] for line in third.data[HISTORY]]
    assert "fix: fruit; Right label, wrong extent" in lines
    assert world.review("L2", "fix", "fruit", person=FAY, reason="boundary") == copy
    world.turn()
    assert (world.case(task).state, site.final(task)) == ("resolved", "fruit")

    # one who decided it changes their mind: another round, and another answer
    site.change(room, copy, person=FAY, verdict="fix", label="tool", reason="boundary")
    world.turn()
    case = world.case(task)
    assert (case.round, case.state, case.why) == (2, "queued", "the answer that decided it was changed")
    for person in (CLEO, EVA):
        world.review("L2", "accept", person=person)
        world.turn()
    assert (world.case(task).state, site.final(task), site.written(task)) == ("resolved", "tool", 2)
    whole(world)


PANEL = """
[[routing]]
id = "all"
to = "L2"
[tiers.L1]
[tiers.L2]
protocol = "panel"
panel = 3
[tiers.L3]
[second_look]
share = 0.0
honeypots = 0.0
""" + REST.format(rows=500, audit=0.0)


def test_one_who_is_always_wrong_is_found_and_changes_nothing(world: World) -> None:
    site = world.site
    tasks = site.add(*(f"a{number} apple" for number in range(6)))
    world.use(PANEL)
    world.turn()
    for person, label in ((CLEO, "fruit"), (DAN, "tool"), (EVA, "fruit")):
        for _ in tasks:
            world.review("L2", "fix", label, person=person, reason="boundary")
    for _ in range(2):
        world.turn()

    assert [site.final(task) for task in tasks] == ["fruit"] * 6
    dan = site.number(DAN)
    seen = measured(world.store, world.project, read_policy(PANEL), {}, control="")
    assert {one.person: one.compared for one in seen.people} == {site.number(one): 6 for one in (CLEO, DAN, EVA)}
    assert [one.accuracy.value for one in seen.people] == [0.0, 1.0, 1.0]
    assert seen.doubted == [dan]

    # a case whose answer is known now stands among new ones, and tells the same of him; nobody can tell it from others
    world.use(PANEL.replace("honeypots = 0.0", "honeypots = 1.0"))
    (new,) = site.add("a9 apple")
    world.turn()
    room = site.room_of("L2")
    waiting = site.waiting(room, DAN)
    (pot,) = [one for one in waiting if one.id != world.case(new).review_task]
    assert pot.data["text"] in {f"a{number} apple" for number in range(6)}
    assert pot.data[KEY].startswith("case-")
    world.review("L2", "answer", "tool", person=DAN, task=pot.id)
    for _ in range(2):
        world.turn()
    again = measured(world.store, world.project, read_policy(PANEL), {}, control="")
    assert (again.people[0].person, again.people[0].compared) == (dan, 7)
    assert site.final(next(task for task in tasks if f"a{tasks.index(task)} apple" == pot.data["text"])) == "fruit"

    # a share of what people decided alone is looked at again by others, who see nothing of it
    world.use(_first_tier(PANEL))
    (once,) = site.add("b1 pear")
    world.turn()
    site.answer(once, "tool", person=ADA)
    for _ in range(2):
        world.turn()
    copy = next(one for one in site.waiting(room, CLEO) if one.id == world.case(once).review_task)
    assert "tool" not in str({name: value for name, value in copy.data.items() if name not in ("text", FACTS)})
    assert not site.shown(copy.id)
    for person in (CLEO, EVA, FAY):
        world.review("L2", "answer", "fruit", person=person, task=copy.id)
    for _ in range(2):
        world.turn()
    assert site.final(once) == "fruit"
    whole(world)


def _first_tier(policy: str) -> str:
    """The same people, but new tasks are asked in the first tier, and each answer is looked at again."""
    return policy.replace('to = "L2"', 'to = "L1"').replace("share = 0.0\nhoneypots", "share = 1.0\nhoneypots")


def test_a_draft_counts_as_a_beginning_and_stops_the_clock_of_the_first_action(world: World) -> None:
    site = world.site
    first, second = site.add("a1 huge", "a2 huge")
    world.use(MODERATION.replace('[tiers.L2]\nresolve = "2h"', '[tiers.L2]\nfirst_action = "10m"'))
    world.turn()
    copy = world.case(first).review_task
    assert copy
    site.draft(copy, person=CLEO)
    world.turn()
    site.pass_time(11 * 60)
    world.turn()

    assert (world.case(first).state, world.case(first).tier, world.case(first).breaches) == ("started", "L2", 0)
    assert world.store.steps(world.case(first).id)[-1].person == site.number(CLEO)
    assert (world.case(second).tier, world.case(second).breaches) == ("L3", 1)


def test_copies_and_review_projects_that_somebody_deletes_are_made_again(world: World) -> None:
    site = world.site
    first, second = site.add("a1 huge", "a2 huge")
    world.use(MODERATION)
    world.turn()
    room, copy = site.room_of("L2"), world.case(first).review_task
    assert copy
    site.delete_copy(room, copy)
    site.sweep(world.store, room)
    world.turn()
    assert len(site.waiting(room, CLEO)) == 2

    site.delete_room(room)
    world.turn()
    world.turn()
    made = str(known_rooms(world.store, world.project)["L2"]["room"])
    assert made != room
    for _ in range(2):
        world.review("L2", "fix", "tool", person=CLEO, reason="wrong_label")
    world.turn()
    assert [site.final(task) for task in (first, second)] == ["tool", "tool"]
    whole(world)
