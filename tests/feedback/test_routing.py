"""A turn decides who looks at what, and Label Studio hands out accordingly; every decision can be made once more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from feedback.activating import activate, activations, policy_of, policy_of_hash
from feedback.errors import PolicyError
from feedback.learning.workshop import Workshop
from feedback.loop import Loop
from feedback.past import open_tasks_now, past_decisions
from feedback.policy import Policy, read_policy
from feedback.policy.schema import Tasks
from feedback.policy.simulate import simulate
from feedback.routing import why
from feedback.signals import SignalDoor
from feedback.store import ProjectRow, Store, open_store
from feedback.turning import Turn
from ml_backend.errors import LabelStudioError
from ml_backend.records import Task
from ml_backend.registry import FolderRegistry
from tests.support import stores
from tests.support.fake_platform import TEXT_CONFIG, FakeLabelStudio

SMALL = "\n[queue]\nwindow = 10\nhead = 3\n[overlap]\nshare = 0.0\n[audit]\nshare = 0.0\n[train]\nmin_rows = 500\n"
TIERS = "\n[tiers.L1]\n[tiers.L2]\n"
DEFAULT = '\n[[routing]]\nid = "default"\nto = "L1"\n'


def rules(*lines: str, tiers: str = TIERS) -> Policy:
    numbered = [f'[[routing]]\nid = "r{number}"\n{line}\n' for number, line in enumerate(lines)]
    return read_policy("".join(numbered) + DEFAULT + tiers + SMALL)


@dataclass
class World:
    store: Store
    folder: Path
    studio: FakeLabelStudio = field(default_factory=FakeLabelStudio)
    now_s: float = 1_800_000_000.0

    def __post_init__(self) -> None:
        self.loop = Loop(
            self.store,
            platform=self.studio,
            workshop=Workshop(lambda: ()),
            folder=FolderRegistry(self.folder),
            policies=policy_of,
            clock=lambda: self.now_s,
        )

    def use(self, policy: Policy) -> None:
        row = self.store.project("7") or ProjectRow("7", "fake", TEXT_CONFIG, connected=True)
        self.store.save_project(row)
        activate(self.store, row, policy, who="test", now_s=self.now_s)

    def add(self, text: str, **data: object) -> int:
        (number,) = self.studio.add(text)
        self.studio.tasks[number] = replace(self.studio.tasks[number], data={"text": text, **data})
        return number

    def turn(self) -> Turn:
        return self.loop.turn("7")

    def signal(self, task: int | None, name: str = "user_report", value: object = "scam", key: str = "k") -> None:
        body = {"project": "7", "task": task, "signal": name, "value": value, "id": key}
        SignalDoor(self.store, clock=lambda: self.now_s)(body)

    def outcome(self, task: int) -> str:
        return self.store.standing("7")[task][0].outcome

    def order(self) -> list[int]:
        """Whom Label Studio would hand which task, one person after another without answering."""
        places = self.studio.rows[self.studio.version]
        free = [task for task in self.studio.tasks.values() if not task.is_labeled and task.id in places]
        return [task.id for task in sorted(free, key=lambda task: places[task.id].place)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    store = open_store(stores.empty(tmp_path / "hitl.db"), durability="normal")
    yield World(store, tmp_path / "models")
    store.close()


def test_without_rules_nothing_is_decided_and_nothing_recorded(world: World):
    world.use(read_policy(SMALL))
    world.add("a")
    turn = world.turn()

    assert world.store.standing("7") == {}
    assert turn.notes == ()
    assert world.studio.next_task(1) == 1


def test_a_task_for_a_later_tier_is_shown_to_nobody_in_the_first(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    small, big = world.add("a", amount=5), world.add("b", amount=9000)
    world.turn()

    assert (world.outcome(small), world.outcome(big)) == ("L1", "L2")
    assert world.studio.tasks[big].is_labeled
    assert not world.studio.tasks[small].is_labeled
    assert [row.task for row in world.store.window("7")] == [small]
    assert set(world.store.kept_back("7")) == {big}


def test_what_is_kept_back_is_not_counted_as_labelled(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    done, _big, _open = world.add("a", amount=5), world.add("b", amount=9000), world.add("c", amount=5)
    world.turn()
    world.studio.answer(done, "tool")
    world.turn()
    counts = world.store.project_counts("7")

    assert (counts.tasks, counts.labeled, counts.kept_back, counts.answered) == (3, 1, 1, 1)
    assert world.store.routed("7") == {"L1": 2, "L2": 1}


def test_a_held_task_that_label_studio_forgot_is_hidden_again_at_the_next_turn(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    world.add("a", amount=5)
    big = world.add("b", amount=9000)
    world.turn()
    # as a change of the project's settings does: it counts all tasks anew and moves no updated_at
    world.studio.tasks[big] = replace(world.studio.tasks[big], is_labeled=False)
    world.turn()

    assert world.studio.tasks[big].is_labeled


def test_a_hold_ends_and_the_task_is_handed_out(world: World):
    world.use(rules("when = { data.urgent = false }\nto = 'L1'\nhold = '10m'"))
    task = world.add("a", urgent=False)
    created_s = 1_767_225_601.0  # the fake's first second
    world.now_s = created_s + 60
    world.turn()
    held = world.studio.tasks[task].is_labeled
    world.now_s = created_s + 700
    world.turn()
    world.turn()

    assert held
    assert world.store.kept_back("7") == {}
    assert not world.studio.tasks[task].is_labeled
    assert world.studio.next_task(1) == task
    assert [one.standing.outcome for one in world.store.decisions("7", task=task)] == ["L1", "hold"]


def test_a_task_that_people_answered_in_spite_of_it_is_done_and_not_shown_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)
    world.turn()
    world.studio.answer(big, "tool")  # opened in the Data Manager
    world.turn()
    world.use(rules("when = { data.amount.gte = 99999 }\nto = 'hold'"))
    turn = world.turn()

    assert turn.settled == 1
    assert world.studio.tasks[big].is_labeled
    assert world.store.kept_back("7") == {}


def test_a_policy_without_rules_shows_everything_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    big = world.add("b", amount=9000)
    world.turn()
    world.use(read_policy(SMALL))
    world.turn()

    assert not world.studio.tasks[big].is_labeled
    assert world.store.kept_back("7") == {}


def test_a_kill_between_note_and_hiding_leaves_nothing_hidden_for_ever(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)

    def killed(project: str, task: int) -> Task:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(world.studio, "hide", killed)
        with pytest.raises(KeyboardInterrupt):
            world.turn()
    assert set(world.store.kept_back("7")) == {big}
    world.turn()

    assert world.studio.tasks[big].is_labeled
    assert len(world.store.decisions("7", task=big)) == 1


def test_label_studio_being_away_is_said_and_the_decision_stands(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    big = world.add("b", amount=9000)

    def away(project: str, task: int) -> Task:
        raise LabelStudioError("Label Studio cannot be reached.")

    monkeypatch.setattr(world.studio, "hide", away)
    turn = world.turn()

    assert any("not every task is where the routing wants it" in note for note in turn.notes)
    assert world.outcome(big) == "hold"


def test_a_task_that_was_deleted_meanwhile_stops_nothing(world: World, monkeypatch: pytest.MonkeyPatch):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    gone, big = world.add("a", amount=9000), world.add("b", amount=9000)
    hide = world.studio.hide

    def deleted(project: str, task: int) -> Task:
        if task == gone:
            raise LabelStudioError("no such task", status=404)
        return hide(project, task)

    monkeypatch.setattr(world.studio, "hide", deleted)
    turn = world.turn()

    assert turn.notes == ()
    assert world.studio.tasks[big].is_labeled


def test_many_held_tasks_are_hidden_a_few_hundred_a_turn(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'hold'"))
    for number in range(250):
        world.add(f"t{number}", amount=9000)
    first = world.turn()
    hidden = sum(task.is_labeled for task in world.studio.tasks.values())
    second = world.turn()

    assert hidden == 200
    assert "50 tasks are not yet where the routing wants them" in first.notes
    assert all(task.is_labeled for task in world.studio.tasks.values())
    assert second.notes == ()
    assert world.store.window("7") == []  # none of them was ever asked


def test_urgent_tasks_come_first_and_low_ones_last(world: World):
    world.use(
        rules(
            "when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'",
            "when = { data.p = 'low' }\nto = 'L1'\npriority = 'low'",
        )
    )
    given = [world.add(f"t{number}", p=["low", "", "urgent"][number % 3]) for number in range(9)]
    world.turn()
    kinds = [world.studio.tasks[task].data["p"] for task in world.order()]

    assert sorted(world.order()) == given
    assert kinds == ["urgent"] * 3 + [""] * 3 + ["low"] * 3


def test_a_new_urgent_task_is_woven_in_before_the_others(world: World):
    world.use(rules("when = { data.p = 'urgent' }\nto = 'L1'\npriority = 'urgent'"))
    for number in range(6):
        world.add(f"t{number}")
    first = world.turn()
    urgent = world.add("now", p="urgent")
    second = world.turn()

    assert world.studio.next_task(1) == urgent
    assert second.window == first.window  # the version grew
    assert second.asked == "1 more urgent tasks wait"


def test_a_signal_about_a_waiting_task_brings_it_to_the_front(world: World):
    world.use(rules("when = { signal.user_report.count.gte = 1 }\nto = 'L1'\npriority = 'urgent'"))
    tasks = [world.add(f"t{number}") for number in range(8)]
    world.turn()
    last = world.order()[-1]
    world.signal(last)
    turn = world.turn()

    assert last in tasks
    assert turn.asked == "priorities changed"
    assert world.studio.next_task(1) == last
    assert world.turn().asked == ""  # once


def test_a_rule_may_want_more_people(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L1'\noverlap = 2"))
    small, big = world.add("a", amount=5), world.add("b", amount=9000)
    world.turn()
    for task in (small, big):
        world.studio.answer(task, "tool", person=1)
    turn = world.turn()
    wants = world.studio.next_task(2)
    world.studio.answer(big, "tool", person=2)
    done = world.turn()

    assert (turn.settled, turn.reopened) == (1, 1)
    assert wants == big
    assert done.settled == 2


def test_people_who_differ_are_sent_to_the_next_tier_instead_of_a_third_opinion(world: World):
    world.use(
        rules(
            "when = { history.votes.gte = 2, history.support.lt = 0.6 }\nto = 'L2'\nreason = 'people differ'",
            "when = { data.x = 1 }\nto = 'L1'\noverlap = 2",
        )
    )
    task = world.add("a", x=1)
    world.turn()
    world.studio.answer(task, "tool", person=1)
    world.turn()
    world.studio.answer(task, "fruit", person=2)
    world.turn()

    assert world.outcome(task) == "L2"
    assert world.studio.tasks[task].is_labeled
    assert world.studio.next_task(3) is None


def test_a_signal_about_a_settled_task_is_decided_too(world: World):
    world.use(rules("when = { signal.human_review = true }\nto = 'L2'\nreason = 'they asked'"))
    task = world.add("a")
    world.turn()
    world.studio.answer(task, "tool")
    world.turn()
    world.signal(task, "human_review", value=True)
    world.turn()

    assert world.outcome(task) == "L2"
    assert world.studio.tasks[task].is_labeled


def test_a_signal_about_the_whole_project_reaches_every_task(world: World):
    world.use(rules("when = { signal.policy_update = 'v2', data.topic = 'hate' }\nto = 'L2'"))
    hate, other = world.add("a", topic="hate"), world.add("b", topic="sport")
    world.signal(None, "policy_update", value="v2")
    world.turn()

    assert (world.outcome(hate), world.outcome(other)) == ("L2", "L1")


def test_a_turn_without_news_decides_nothing_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    for number in range(5):
        world.add(f"t{number}", amount=number * 2000)
    world.turn()
    before = (len(world.store.decisions("7")), world.studio.writes)
    world.now_s += 3600
    world.turn()

    assert (len(world.store.decisions("7")), world.studio.writes) == before


def test_changed_data_and_a_changed_policy_are_decided_again(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=5)
    world.turn()
    world.studio.tasks[task] = replace(
        world.studio.tasks[task], data={"text": "a", "amount": 6}, updated_at=world.studio._tick()
    )
    world.turn()
    world.use(rules("when = { data.amount.gte = 6 }\nto = 'L2'"))
    world.turn()
    found = world.store.decisions("7", task=task)

    assert [one.standing.outcome for one in found] == ["L2", "L1", "L1"]
    assert len({one.standing.policy for one in found}) == 2
    assert len({one.content for one in found}) == 2


def test_every_decision_is_made_once_more_from_what_was_recorded(world: World):
    world.use(
        rules(
            "when = { data.amount.gte = 5000, signal.user_report.count.gte = 1 }\nto = 'auto'\ntier = 'L2'",
            "when = { time.age.gte = '1s', data.text.matches = '^t[0-4]' }\nto = 'L1'\npriority = 'high'",
        )
    )
    tasks = [world.add(f"t{number}", amount=number * 1500) for number in range(10)]
    for task in tasks[::2]:
        world.signal(task, key=f"k{task}")
    world.turn()
    world.use(rules("when = { data.amount.lt = 0 }\nto = 'L2'"))  # the policy that decided is kept
    found = [why(world.store, "7", one) for task in tasks for one in world.store.decisions("7", task=task)]

    assert len(found) == 10
    assert all(one.same for one in found)
    assert {one.decision.standing.rule for one in found} == {"r0", "r1", "default"}
    assert all(one.clauses[-1][0] == one.decision.standing.rule for one in found)
    refused = next(one for one in found if one.decision.standing.rule == "r0")
    assert refused.decision.standing.refused == "certificates come in step 7"


def test_a_forged_decision_does_not_replay(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=9000)
    world.turn()
    (made,) = world.store.decisions("7", task=task)
    forged = replace(made, standing=replace(made.standing, rule="default", outcome="L1"))

    assert why(world.store, "7", forged).same is False
    assert "r0 → L2" in why(world.store, "7", forged).note


def test_a_decision_about_erased_data_says_that_it_cannot_be_replayed(world: World):
    world.use(rules("when = { data.amount.gte = 5000 }\nto = 'L2'"))
    task = world.add("a", amount=9000)
    world.turn()
    (made,) = world.store.decisions("7", task=task)

    found = why(world.store, "7", replace(made, content="0" * 64))
    assert (found.same, found.note) == (None, "the task's data were erased")


def test_a_policy_is_simulated_on_what_was_decided(world: World):
    old = rules("when = { data.amount.gte = 9000 }\nto = 'L2'")
    new = rules("when = { data.amount.gte = 3000 }\nto = 'L2'")
    world.use(old)
    for number in range(10):
        world.add(f"t{number}", amount=number * 1000)
    world.turn()
    found = simulate(old, new, past_decisions(world.store, "7"))

    assert found.source == "decisions"
    assert (found.before.tiers, found.after.tiers) == ({"L1": 9, "L2": 1}, {"L1": 3, "L2": 7})
    assert found.moved == 6


def test_a_first_policy_is_simulated_on_the_tasks_as_they_are(world: World):
    world.use(read_policy(SMALL))
    for number in range(10):
        world.add(f"t{number}", amount=number * 1000)
    world.turn()
    row = world.store.project("7")
    assert row is not None
    new = rules("when = { data.amount.gte = 3000 }\nto = 'L2'")
    past = open_tasks_now(world.store, row, new, Workshop(lambda: ()), now_s=world.now_s)
    found = simulate(policy_of(row), new, past)

    assert (found.n, found.moved) == (10, 7)


def test_an_activated_policy_is_kept_by_its_hash_and_named_in_the_history(world: World):
    first, second = rules("when = { data.a = 1 }\nto = 'L2'"), rules("when = { data.a = 2 }\nto = 'L2'")
    world.use(first)
    world.use(second)
    world.use(second)  # nothing new
    row = world.store.project("7")
    assert row is not None

    assert policy_of(row) == second
    assert policy_of_hash(world.store, "7", first.hash) == first
    assert [(one.hash, one.before, one.who) for one in activations(world.store, "7")] == [
        (second.hash, first.hash, "test"),
        (first.hash, "", "test"),
    ]
    with pytest.raises(PolicyError, match="no policy abc was ever active"):
        policy_of_hash(world.store, "7", "abc")


def test_reasons_and_questions_keep_the_order_of_the_file_through_the_store(world: World):
    reasons = '[reasons]\nzone = "Z"\nage = "A"\n'
    policy = read_policy(reasons + "[feedback.why]\nkind = 'text'\n[feedback.how]\nkind = 'text'")
    world.use(policy)
    row = world.store.project("7")
    assert row is not None

    for read in (policy_of(row), policy_of_hash(world.store, "7", policy.hash)):
        assert (list(read.reasons), list(read.feedback)) == (["zone", "age"], ["why", "how"])


def test_a_stored_policy_that_this_version_cannot_read_is_an_error_with_a_hint(world: World):
    row = ProjectRow("7", "fake", TEXT_CONFIG, options={"policy": {"version": 9}})

    with pytest.raises(PolicyError, match="active policy of project 7 cannot be read") as caught:
        policy_of(row)
    assert "activate a policy file" in caught.value.hint


def test_a_signal_by_order_number_that_comes_before_its_task_routes_it_once_it_is_there(world: World):
    policy = rules("when = { signal.user_report.exists = true }\nto = 'L2'")
    world.use(policy.model_copy(update={"tasks": Tasks(key="order")}))
    other = world.add("a", order="A-1")
    world.turn()
    body = {"project": "7", "key": "A-2", "signal": "user_report", "value": "scam", "id": "k"}
    answer = SignalDoor(world.store, clock=lambda: world.now_s)(body)
    world.turn()
    task = world.add("b", order="A-2")
    world.turn()

    assert answer["status"] == "parked"
    assert (world.outcome(other), world.outcome(task)) == ("L1", "L2")
