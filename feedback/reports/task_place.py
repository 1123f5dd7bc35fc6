"""Where one task is now: with whom it waits, whether it is on hold, or how it was decided, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from feedback.policy.rules import HOLD
from feedback.project.snapshot import load_splits
from feedback.reports.uncounted_answers import list_uncounted
from feedback.review.case_state_machine import STATE_MEANINGS
from feedback.review.review_task_content import format_answer, format_time
from feedback.store import CaseRow, ProjectRow, Store
from feedback.store.repositories.uncounted import IMPORTED
from ml_backend.number_format import format_counted
from ml_backend.records import Task


def describe_place(store: Store, project: ProjectRow, task: int) -> str:
    """Return where a task is now, as a sentence without a full stop.

    An open task does not tell that it measures models: whoever answers it must not know.
    """
    known = store.tasks.get_task(project.id, task)
    cases = store.cases.list_cases(project.id, tasks=[task])
    if known is None:
        return "deleted in Label Studio" if cases and cases[0].state == "withdrawn" else "unknown"
    first_tier = project.policy.first_tier
    for case in cases:
        if case.state in ("automated", "decided", "resolved") or case.tier != first_tier:
            return _in_review(case)
    decisions = store.decisions.list_decisions(project.id, task=task, limit=1)
    route = decisions[0].standing if decisions else None
    n_answers = _count_people(store, project, task)
    if route is not None and route.outcome == HOLD and not n_answers:
        return f"on hold, by rule {route.rule}; nobody is asked"
    if route is not None and route.outcome not in (first_tier, HOLD) and not n_answers:
        return f"goes to {route.outcome}, by rule {route.rule}; its case is opened in the next turn"
    if known.is_labeled and task not in store.tasks.list_hidden_tasks(project.id):
        return _answered(store, project, known, n_answers)
    given = f", {format_counted(n_answers, 'person has', 'people have')} answered" if n_answers else ""
    return f"waits in {first_tier}{_queue_place(store, project.id, known)}{given}"


def _in_review(case: CaseRow) -> str:
    if case.state in ("decided", "resolved"):
        answer = format_answer(case.answer) if case.answer is not None else "no answer is right"
        return f"done: decided at {case.tier}: {answer}" + (
            "" if case.state == "resolved" else "; not written to Label Studio yet"
        )
    if case.state == "automated":
        return f"done: accepted automatically: {format_answer(case.answer)}"
    where = "its review task is made in the next turn"
    if case.review_task is not None:
        where = f"review task {case.review_task} of project {case.review_project}"
    due = f", due {format_time(case.due_s)}" if case.due_s is not None and case.paused_s is None else ""
    if case.state == "waiting":
        return f"in review at {case.tier}: waits for an answer to a reviewer's question (case {case.id})"
    return f"in review at {case.tier}, {case.state}: {where}{due} (case {case.id}; {STATE_MEANINGS[case.state]})"  # type: ignore[index]


def _count_people(store: Store, project: ProjectRow, task: int) -> int:
    """Return how many people have an answer to a task that counts."""
    refused = {row.annotation for row in list_uncounted(store, project, task)}
    votes = store.votes.list_votes(project.id, tasks=[task])
    return len({vote.person for vote in votes if vote.annotation not in refused})


def _answered(store: Store, project: ProjectRow, task: Task, n_answers: int) -> str:
    splits = load_splits(store, project, project.policy)
    (role,) = splits.roles([splits.dedup_key(task.data)])
    kind = {"train": "", "gold": "; a gold task, which measures people"}.get(
        role, "; an audit task, which measures models"
    )
    if not n_answers:
        came = any(row.why == IMPORTED for row in list_uncounted(store, project, task.id))
        state = "came with an imported answer, so nobody is asked" if came else "marked as labelled in Label Studio"
        return f"{state}{'' if came else ', and no answer counts'}{kind}"
    return f"done: answered by {format_counted(n_answers, 'person', 'people')} in {project.policy.first_tier}{kind}"


def _queue_place(store: Store, project: str, task: Task) -> str:
    rows = store.windows.get_window(project)
    place = {row.task: row.place for row in rows}
    if task.id not in place:
        return ", in Label Studio's order" if not rows else ", after the present window of the queue"
    before = _open_before(store, project, [row.task for row in rows if row.place < place[task.id]])
    return f", place {before + 1} of the queue"


def _open_before(store: Store, project: str, tasks: Sequence[int]) -> int:
    """Return how many of these tasks are still open."""
    return sum(not row.is_labeled for row in store.tasks.list_task_rows(project, only=tasks))
