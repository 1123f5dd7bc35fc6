"""A policy is simulated before, kept by its hash after, and read again as it was written."""

from __future__ import annotations

import pytest

from feedback.errors import PolicyError
from feedback.policy import read_policy
from feedback.policy.simulate import simulate
from feedback.routing.rule_inputs import load_decision_history, load_open_tasks
from feedback.store import ProjectRow
from feedback.training.model_factory import ModelFactory
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.routed_project import SMALL, RoutedProject, rules


def test_a_policy_is_simulated_on_what_was_decided(routed_project: RoutedProject):
    old = rules("when = { data.amount.gte = 9000 }\nto = 'L2'")
    new = rules("when = { data.amount.gte = 3000 }\nto = 'L2'")
    routed_project.use(old)
    for number in range(10):
        routed_project.add(f"t{number}", amount=number * 1000)
    routed_project.turn()
    found = simulate(old, new, load_decision_history(routed_project.store, "7"))

    assert found.source == "decisions"
    assert (found.before.tiers, found.after.tiers) == ({"L1": 9, "L2": 1}, {"L1": 3, "L2": 7})
    assert found.moved == 6


def test_a_first_policy_is_simulated_on_the_tasks_as_they_are(routed_project: RoutedProject):
    routed_project.use(read_policy(SMALL))
    for number in range(10):
        routed_project.add(f"t{number}", amount=number * 1000)
    routed_project.turn()
    row = routed_project.store.projects.get_project("7")
    assert row is not None
    new = rules("when = { data.amount.gte = 3000 }\nto = 'L2'")
    past = load_open_tasks(routed_project.store, row, new, ModelFactory(lambda: ()), now_s=routed_project.now_s)
    found = simulate(row.policy, new, past)

    assert (found.n, found.moved) == (10, 7)


def test_an_activated_policy_is_kept_by_its_hash_and_named_in_the_history(routed_project: RoutedProject):
    first, second = rules("when = { data.a = 1 }\nto = 'L2'"), rules("when = { data.a = 2 }\nto = 'L2'")
    routed_project.use(first)
    routed_project.use(second)
    routed_project.use(second)  # nothing new
    row = routed_project.store.projects.get_project("7")
    assert row is not None

    assert row.policy == second
    assert routed_project.store.policies.get_policy("7", first.hash) == first
    assert [(entry.hash, entry.before, entry.who) for entry in routed_project.store.policies.list_activations("7")] == [
        (second.hash, first.hash, "test"),
        (first.hash, "", "test"),
    ]
    with pytest.raises(PolicyError, match="no policy abc was ever active"):
        routed_project.store.policies.get_policy("7", "abc")


def test_reasons_and_questions_keep_the_order_of_the_file_through_the_store(routed_project: RoutedProject):
    reasons = '[reasons]\nzone = "Z"\nage = "A"\n'
    policy = read_policy(reasons + "[feedback.why]\nkind = 'text'\n[feedback.how]\nkind = 'text'")
    routed_project.use(policy)
    row = routed_project.store.projects.get_project("7")
    assert row is not None

    for read in (row.policy, routed_project.store.policies.get_policy("7", policy.hash)):
        assert (list(read.reasons), list(read.feedback)) == (["zone", "age"], ["why", "how"])


def test_a_stored_policy_that_this_version_cannot_read_is_an_error_with_a_hint(routed_project: RoutedProject):
    row = ProjectRow("7", "fake", TEXT_CONFIG, options={"policy": {"version": 9}})

    with pytest.raises(PolicyError, match="active policy of project 7 cannot be read") as caught:
        _ = row.policy
    assert "activate a policy file" in caught.value.hint
