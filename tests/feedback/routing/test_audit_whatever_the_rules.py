"""Whatever the rules say, the audit asks the same tasks in the same order, blind, and counts the same answers."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback.policy import Policy, read_policy
from feedback.policy.simulate import simulate
from feedback.project.audit_splits import AUDIT_ROLES
from feedback.project.snapshot import SnapshotCache
from feedback.review.review_task_content import FACTS, HISTORY
from feedback.routing.router import explain_decision
from feedback.routing.rule_inputs import load_decision_history
from ml_backend.records import Task
from tests.support import stores
from tests.support.proof import size
from tests.support.routed_project import RoutedProject

AUDITED = """
[tiers.L1]
[tiers.L2]
[queue]
window = 10
head = 3
[overlap]
share = 0.2
[audit]
share = 0.4
start = 5
[train]
min_rows = 8
min_new = 4
"""
N_TASKS = 16
Rules = list[tuple[str, ...]]

whens = st.sampled_from(
    [
        "when = { data.x.gte = 3 }",
        "when = { data.x.lt = 5 }",
        "when = { model.confidence.lt = 0.7 }",
        "when = { model.label = 'tool' }",
        "when = { history.votes.gte = 1 }",
        "when = { signal.user_report.count.gte = 1 }",
        "when = { not = { model.confidence.gte = 0.9 } }",
    ]
)
outcomes = st.sampled_from(
    ["to = 'L1'", "to = 'L2'", "to = 'hold'", "to = 'auto'", "to = 'auto'\ntier = 'L2'", "to = 'L1'\nqueue = 'big'"]
)
options = st.sampled_from(
    ["", "priority = 'urgent'", "priority = 'low'", "overlap = 2", "skills = ['law']", "hold = '10d'"]
)
rule = st.tuples(whens, outcomes, options).filter(lambda one: "overlap" not in one[2] or "'L1'" in one[1])
rule_sets = st.lists(rule, min_size=1, max_size=4)


@dataclass(frozen=True)
class Audited:
    """What became of the audit tasks of a project."""

    asked: list[int]  # in the order in which people got them
    counted: dict[int, str]  # task -> label, as the data set has it
    in_window: set[int]  # the audit tasks of the first window
    shown: list[int]  # those that came with an answer on them


def _policy(rules: Rules) -> Policy:
    numbered = [f"[[routing]]\nid = 'r{at}'\n" + "\n".join(rule) + "\n" for at, rule in enumerate(rules)]
    default = ["[[routing]]\nid = 'default'\nto = 'L1'\n"] if rules else []
    return read_policy("".join([*numbered, *default]) + AUDITED)


def play(rules: Rules) -> Audited:
    """People answer what they are served until nothing is left; reviewers contradict them in whatever they get."""
    with TemporaryDirectory() as folder, closing(stores.fresh(Path(folder) / "hitl.sqlite3")) as store:
        store.secrets.save_secret("draws", "the same draws in every run")
        project = RoutedProject(store, Path(folder) / "models")
        project.use(_policy(rules))
        studio = project.studio
        for number in range(N_TASKS):
            project.add(f"{('apple', 'hammer')[number % 2]} {number}", x=number % 7)
        project.turn()
        for task in (3, 7):
            project.signal(task, key=f"report {task}")
        roles = project.load_snapshot(SnapshotCache()).roles
        audit = {task for task, role in roles.items() if role in AUDIT_ROLES}
        in_window = {row.task for row in store.windows.get_window("7") if row.task in audit}
        asked, shown = dict[int, None](), list[int]()
        for turn in range(3 * N_TASKS):
            people = [1 + (turn + more) % 3 for more in range(3)]
            person = next((one for one in people if studio.next_task(one)), people[0])
            if not studio.next_task(person) and not any(studio.waiting(number, 4) for number in studio.review_projects):
                break
            if (task := studio.next_task(person)) is not None:
                if task in audit:
                    asked.setdefault(task)
                    row = studio.rows[studio.version].get(task)
                    shown += [task] if row is not None and row.answer is not None else []
                studio.answer(task, "fruit" if "apple" in studio.tasks[task].data["text"] else "tool", person=person)
            for number, made in studio.review_projects.items():
                for waiting in studio.waiting(number, 4)[:1]:
                    source = studio.tasks[next(task for task in studio.tasks if _is_of(waiting, studio.tasks[task]))]
                    if source.id in audit and (made.shown[waiting.id].result or _shows_an_answer(waiting)):
                        shown.append(source.id)
                    studio.review(number, "answer", "tool" if "apple" in waiting.data["text"] else "fruit", person=4)
            project.turn()
        labels = project.decided_labels()
        return Audited(list(asked), {task: label for task, label in labels.items() if task in audit}, in_window, shown)


def _is_of(review_task: Task, task: Task) -> bool:
    return bool(review_task.data["text"] == task.data["text"])


def _shows_an_answer(review_task: Task) -> bool:
    return any(word in str(review_task.data[name]) for name in (FACTS, HISTORY) for word in ("fruit", "tool"))


@cache
def without_rules() -> Audited:
    return play([])


@settings(max_examples=size(ci=4, full=60), deadline=None)
@example([("when = { data.x.gte = 0 }", "to = 'hold'", "")])
@example(
    [
        ("when = { data.x.lt = 3 }", "to = 'auto'\ntier = 'L2'", ""),
        ("when = { data.x.gte = 3 }", "to = 'L2'", "priority = 'urgent'"),
    ]
)
@example([("when = { data.x.lt = 5 }", "to = 'L1'\noverlap = 2", "priority = 'urgent'")])
@given(rule_sets)
def test_rules_change_neither_which_audit_tasks_are_asked_nor_what_counts(rules: Rules):
    usual, ruled = without_rules(), play(rules)

    assert len(usual.asked) > N_TASKS // 4
    assert ruled.asked == usual.asked
    assert ruled.counted == usual.counted
    assert ruled.in_window >= usual.in_window  # more where the rules hold others back
    assert ruled.shown == []


def test_a_rule_about_an_audit_task_is_recorded_with_what_of_it_does_not_apply(routed_project: RoutedProject):
    routed_project.use(_policy([("when = { data.x = 1 }", "to = 'auto'\ntier = 'L2'", "")]))
    for number in range(N_TASKS):
        routed_project.add(f"apple {number}", x=1)
    routed_project.turn()
    snapshot = routed_project.load_snapshot(SnapshotCache())
    decisions = {decision.task: decision for decision in routed_project.store.decisions.list_decisions("7")}
    audit = {task for task, role in snapshot.roles.items() if role in AUDIT_ROLES}

    for task, decision in decisions.items():
        explained = explain_decision(routed_project.store, "7", decision)
        assert explained.same
        assert decision.standing.outcome == "L2"
        assert ("whatever the rules say, before L2 gets it" in decision.standing.refused) == (task in audit)
        assert (task in snapshot.routes.held) == (task not in audit)


def test_what_would_be_automated_leaves_the_audit_out(routed_project: RoutedProject):
    policy = _policy([("when = { data.x.exists = true }", "to = 'auto'", "")])
    routed_project.use(policy)
    for number in range(N_TASKS):
        routed_project.add(f"apple {number}", x=1)
    routed_project.turn()
    snapshot = routed_project.load_snapshot(SnapshotCache())
    simulated = simulate(policy, policy, load_decision_history(routed_project.store, "7"))
    n_audit = sum(role in AUDIT_ROLES for role in snapshot.roles.values())

    assert simulated.after.auto == N_TASKS - n_audit > 0
    assert simulated.after.rules == {"r0": N_TASKS}
