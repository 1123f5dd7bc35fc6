"""What `hitl connect` says about the store: the policy that becomes active, and an attempt that had not finished."""

from __future__ import annotations

from feedback.policy import Policy
from feedback.project.connect import describe_store_changes
from feedback.store import ProjectRow

SNAPSHOT = {"title": "Reviews"}


def test_a_policy_that_becomes_active_is_named_and_one_that_stays_is_not():
    new = Policy.model_validate({"tiers": {"L1": {"title": "Triage"}}})

    (told,) = describe_store_changes(ProjectRow("7"), new)
    assert told.startswith(f"policy: {Policy().hash} -> {new.hash}")
    assert describe_store_changes(ProjectRow("7"), Policy()) == []


def test_an_attempt_that_had_not_finished_is_told():
    half = ProjectRow("7", settings_snapshot=SNAPSHOT)

    assert describe_store_changes(half, Policy()) == [
        "an earlier `hitl connect` had not finished; this one finishes it"
    ]
    assert describe_store_changes(ProjectRow("7", settings_snapshot=SNAPSHOT, connected=True), Policy()) == []
