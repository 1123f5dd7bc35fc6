"""Erasure of a person or a task from a project, its review projects and review tasks; and all data about a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from feedback.errors import NotStored, StoreError
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy import Policy
from feedback.policy.schema import same_email
from feedback.review.review_task_content import HISTORY, KEY, SOURCE, line_source
from feedback.store import DataSubject, ErasureResult, Store
from feedback.store.log.events import canonical_time
from feedback.store.log.projections import canonical_time_of, epoch_s
from ml_backend.errors import LabelStudioError
from ml_backend.records import Task

_PLACEHOLDER = "(forgotten)"  # takes the place of an answer and its comment in review tasks


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased, and what is still to be done."""

    erased: ErasureResult  # in the project itself
    review_projects: dict[str, ErasureResult]  # by id
    n_review_tasks: int  # review tasks that showed data of the person or task
    not_updated: tuple[int, ...]  # review tasks that Label Studio still shows as they were: it could not be reached

    def to_json(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self.erased) | {
            "review_projects": {number: asdict(result) for number, result in self.review_projects.items()},
            "review_tasks": self.n_review_tasks,
            "not_updated": list(self.not_updated),
        }


class _ReviewTask(NamedTuple):
    """One task of a review project that was made from a case."""

    review_project: str
    id: int
    current: Task | None  # None where it was deleted, or where another task has its id now
    until: str  # for a reused id: the creation times up to which it was this task


def erase_person_or_task(
    store: Store,
    project: str,
    *,
    person: int | None = None,
    task: int | None = None,
    emails: Iterable[str] = (),
    platform: LabellingPlatform | None = None,
    now_s: float,
) -> ErasureReport:
    """Erase a person or a task from a project and its review projects. Safe to repeat after an interruption.

    Of a person, every row in `feedback.store.tables.personal_data` goes: answers, comments, roles, sessions, also
    as a reviewer. The decisions of cases stay, without the person. Of a task, its review tasks go as well.

    Parameters
    ----------
    person, task
        Exactly one of them: ids in Label Studio.
    emails
        Addresses of the person in addition to those of their sessions. The active policy loses them.
    platform
        Updates or deletes the review tasks in Label Studio; None where it cannot be reached.

    Raises
    ------
    StoreError
        When not exactly one of `person` and `task` is given, or when the policy is not valid without the person.
    NotStored
        When the project is not known.
    """
    if (person is None) == (task is None):
        raise StoreError("forget either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
    review_projects = store.review_projects.list_review_project_ids(project)
    results: dict[str, ErasureResult] = {}
    if task is not None:
        review_tasks = list(_list_review_tasks(store, store.cases.list_case_ids(project, [task]), review_projects))
        failed = tuple(review_task.id for review_task in review_tasks if not _delete_review_task(platform, review_task))
        for review_project, number, _current, until in review_tasks:
            erased = store.erasure.erase_data(review_project, task=number, until=until)
            results[review_project] = _add_results(results.get(review_project), erased)
        return ErasureReport(store.erasure.erase_data(project, task=task), results, len(review_tasks), failed)
    addresses = frozenset(emails) | store.sessions.list_emails(person or 0)
    _remove_from_policy(store, project, addresses, now_s=now_s)
    n_former = _erase_former_review_tasks(store, project, person or 0, review_projects)
    # first: the sessions with the addresses go with it
    erased = store.erasure.erase_data(project, person=person, emails=addresses)
    for review_project in review_projects:
        results[review_project] = store.erasure.erase_data(review_project, person=person, emails=addresses)
    shown = list(_list_tasks_with_erased_lines(store, project, review_projects))
    failed = tuple(task.id for task, data in shown if not _replace_data(store, platform, task, data))
    return ErasureReport(erased, results, n_former + len(shown), failed)


def build_access_report(store: Store, project: str, person: int, *, emails: Iterable[str] = ()) -> dict[str, Any]:
    """Return all data about a person in a project and its review projects, without the words of other people.

    `emails` are addresses in addition to those of the person's sessions. In the report, `versions` holds every version
    of every answer, and `held` every row about the person by table (`feedback.store.tables.personal_data`).
    """
    addresses = frozenset(emails) | store.sessions.list_emails(person)
    projects = [project, *store.review_projects.list_review_project_ids(project)]
    held: dict[str, list[dict[str, Any]]] = {}
    for project_id in projects:
        for table, rows in store.list_personal_data(DataSubject(project_id, person, addresses)).items():
            held.setdefault(table, []).extend(row for row in rows if row not in held.get(table, []))
    versions = [
        asdict(version) | {"project": project_id}
        for project_id in projects
        for version in store.events.list_versions_by_person(project_id, person)
    ]
    return {"project": project, "person": person, "emails": sorted(addresses), "versions": versions, "held": held}


def erase_in_backup(store: Store, project: str, person: int) -> None:
    """Erase a person from an older store who was erased since then; Label Studio itself was updated at that time."""
    row = store.projects.get_project(project)
    if row is None:
        store.erasure.erase_data(project, person=person)
    elif not row.source:  # a review project is handled with its source project
        erase_person_or_task(store, project, person=person, now_s=time.time())


def _erase_former_review_tasks(store: Store, project: str, person: int, review_projects: Sequence[str]) -> int:
    """Erase the deleted review tasks of the cases that a person answered or voted on; return how many there are."""
    tasks = {
        int(version.body["task"]) for version in store.events.list_versions_by_person(project, person) if version.body
    }
    cases = {review.case for review in store.reviews.list_reviews(project) if review.person == person}
    cases |= set(store.cases.list_case_ids(project, tasks))
    review_tasks = _list_review_tasks(store, cases, review_projects)
    former = [review_task for review_task in review_tasks if review_task.current is None]
    for review_task in former:
        store.erasure.erase_data(review_task.review_project, task=review_task.id, until=review_task.until)
    return len(former)


def _list_tasks_with_erased_lines(
    store: Store, project: str, review_projects: Sequence[str]
) -> Iterator[tuple[Task, dict[str, Any]]]:
    """Yield each review task whose history shows a version that was erased, with the data that it must have.

    A line keeps its source until Label Studio has the new text, so that a repetition finds what is left to do.
    """
    erased = {
        line_source(number, annotation, epoch_s(version))
        for number in (project, *review_projects)
        for annotation, version in store.events.list_erased_versions(number)
    }
    for review_project in review_projects if erased else ():
        for task in store.tasks.list_tasks(review_project):
            history = task.data.get(HISTORY)
            lines = history if isinstance(history, list) else []
            left = [_without_source(line) if _source_of(line) in erased else line for line in lines]
            if left != lines:
                yield task, {**task.data, HISTORY: left}


def _list_review_tasks(store: Store, cases: Iterable[int], review_projects: Iterable[str]) -> Iterator[_ReviewTask]:
    """Return every review task that was ever made from these cases, honeypots included."""
    case_ids = set(cases)
    if not case_ids:
        return
    found = store.cases.list_review_tasks(case_ids)
    for review_project in review_projects:  # also those that an interrupted turn created and did not record
        found |= {
            (review_project, task.id) for task in store.tasks.list_tasks(review_project) if _case_of(task) in case_ids
        }
    honeypots = {(str(row["review_project"]), int(row["task"])) for row in store.cases.list_honeypots(case_ids)}
    for review_project, number in sorted(found | honeypots):
        current = store.tasks.get_task(review_project, number)
        is_reused = current is not None and _case_of(current) not in case_ids
        if current is not None and is_reused and (review_project, number) not in honeypots:
            until = canonical_time_of(epoch_s(canonical_time(current.created_at)) - 1e-6)
            yield _ReviewTask(review_project, number, None, until)
        else:
            yield _ReviewTask(review_project, number, current, "")


def _case_of(review_task: Task) -> int:
    """Return the case that a review task was made from; 0 where it is none."""
    parts = str(review_task.data.get(KEY, "")).split("-")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdecimal() else 0


def _delete_review_task(platform: LabellingPlatform | None, review_task: _ReviewTask) -> bool:
    """Delete a review task in Label Studio; return whether it is gone there."""
    project, number = review_task.review_project, review_task.id
    return review_task.current is None or _arrives(
        platform, lambda reached: reached.delete_review_task(project, number, answered=True)
    )


def _replace_data(store: Store, platform: LabellingPlatform | None, task: Task, data: dict[str, Any]) -> bool:
    """Replace the data of a review task, in the store and in Label Studio; return whether both are done."""
    pairs = zip(task.data[HISTORY], data[HISTORY], strict=True)
    pending = [new if line == new else {**new, SOURCE: line[SOURCE]} for line, new in pairs]
    store.erasure.replace_task_data(task.project, replace(task, data={**data, HISTORY: pending}))
    if not _arrives(platform, lambda reached: reached.update_review_task(task.project, task.id, data)):
        return False
    store.erasure.replace_task_data(task.project, replace(task, data=data))
    return True


def _arrives(platform: LabellingPlatform | None, change: Callable[[LabellingPlatform], object]) -> bool:
    """Make a change in Label Studio; return whether it was made."""
    try:
        return platform is not None and change(platform) is not False
    except LabelStudioError:
        return False


def _source_of(line: Any) -> str:
    source = line.get(SOURCE) if isinstance(line, Mapping) else None
    return source if isinstance(source, str) else ""


def _without_source(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return the line of a forgotten answer."""
    kept = {name: value for name, value in line.items() if name != SOURCE}
    return {**kept, "text": _PLACEHOLDER}


def _remove_from_policy(store: Store, project: str, emails: frozenset[str], *, now_s: float) -> None:
    """Activate the policy without a person; from then on they have no rights in the project."""
    row = store.projects.get_project(project)
    if row is None:
        raise NotStored(f"project {project} is not known.")
    policy = row.policy
    body = policy.model_dump(mode="json")
    people = {email: body["people"][email] for email in policy.people if not any(same_email(email, e) for e in emails)}
    if len(people) == len(policy.people):
        return
    try:
        without = Policy.model_validate(body | {"people": people})
    except ValidationError as error:
        hint = "Activate a policy that is valid without the person, then try again."
        raise StoreError(f"the policy is not valid without the person: {error.errors()[0]['msg']}", hint=hint) from None
    store.policies.activate_policy(row, without, who="hitl forget", now_s=now_s)


def _add_results(first: ErasureResult | None, second: ErasureResult) -> ErasureResult:
    if first is None:
        return second
    return ErasureResult(
        first.annotations + second.annotations,
        first.tasks + second.tasks,
        first.events + second.events,
        first.models + second.models,
    )
