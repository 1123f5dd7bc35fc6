"""What all scenarios share: the rest of a policy, what a reviewer reads, and the checks at the end."""

from __future__ import annotations

from feedback.review.review_task_content import HISTORY
from tests.support.case_events import find_event_errors
from tests.support.review_world import World

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


def list_review_texts(world: World, tier: str, task: int) -> list[str]:
    """What a reviewer reads of what was said before."""
    copy = world.case(task).review_task
    assert copy
    (found,) = world.store.tasks.list_tasks(world.site.review_project_of(tier), only=[copy])
    return [line["text"] for line in found.data[HISTORY]]


def whole(world: World) -> None:
    """Every case's trail is complete, and nothing was written twice."""
    cases = world.store.cases.list_cases(world.project)
    assert {case.id: found for case in cases if (found := find_event_errors(world.store, case))} == {}
    for case in cases:
        rounds = sum(
            step.event == "write" and step.note.startswith("written")
            for step in world.store.cases.list_case_events(case.id)
        )
        assert world.site.written(case.task) == rounds
    found = world.store.verify()
    assert (found["chain"], found["projection"]) == ("ok", "ok")
