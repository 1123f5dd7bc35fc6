"""What activating a policy will do: the keys that change, the tasks kept back, the review projects, the open cases."""

from __future__ import annotations

from collections.abc import Iterator

from feedback.policy import Policy
from feedback.policy.policy_changes import list_changes
from feedback.policy.simulate import Simulation
from feedback.review.case_state_machine import OPEN_STATES
from feedback.store import ProjectRow, Store
from ml_backend.number_format import format_count


def describe_activation(store: Store, project: ProjectRow, policy: Policy, simulation: Simulation) -> Iterator[str]:
    """Yield what changes when a policy becomes the active one of a project, a sentence each.

    `simulation` compares it with the active policy.
    """
    changes = list_changes(project.policy, policy)
    if not changes:
        return
    yield from (change.sentence for change in changes)
    before, after = simulation.before.kept_back, simulation.after.kept_back
    if before != after:
        moved = f"{format_count(before)} -> {format_count(after)}"
        yield f"tasks that nobody has answered and that are kept back from {policy.first_tier}: {moved}"
    made = store.review_projects.list_review_projects(project.id)
    if new := [tier for tier in list(policy.tiers)[1:] if tier not in made]:
        yield f"a review project is made in Label Studio for {', '.join(new)} as soon as there is a case"
    for (tier, state), count in sorted(store.cases.count_cases(project.id).items()):
        if tier not in policy.tiers and state in OPEN_STATES:
            gone = f"{tier}, which the policy no longer has"
            yield f"the {state} cases of {gone}, go to {policy.first_tier}: {format_count(count)}"
