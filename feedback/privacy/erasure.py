"""Forgetting: a person or a task leaves a project, its review projects, and the copies of cases that stand in them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from pydantic import ValidationError

from feedback.errors import NotStored, StoreError
from feedback.labelling_platform.interface import LabellingPlatform
from feedback.policy import Policy
from feedback.policy.schema import same_email
from feedback.review.review_task_content import HISTORY, KEY
from feedback.store import Forgotten, Store
from feedback.store.log.events import canonical_time
from feedback.store.log.lifetimes import moment
from feedback.store.log.projections import epoch_s
from feedback.store.repositories.policies import policy_of
from ml_backend.errors import LabelStudioError
from ml_backend.records import Task

_FORGOTTEN = "(forgotten)"


@dataclass(frozen=True, slots=True)
class Erased:
    """What is gone, and what somebody must still see to."""

    forgotten: Forgotten
    rooms: dict[str, Forgotten]  # by review project
    copies: int  # of cases, in review projects
    left: tuple[int, ...]  # copies that Label Studio still shows as they were: it could not be reached

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self.forgotten) | {
            "rooms": {room: asdict(one) for room, one in self.rooms.items()},
            "copies": self.copies,
            "left": list(self.left),
        }


class _Copy(NamedTuple):
    """One copy of a case: a task of a review project."""

    room: str
    task: int
    now: Task | None  # as it stands; None where it is gone, or where the number is another's
    until: str  # its last life, for what is gone


def forget(
    store: Store,
    project: str,
    *,
    person: int | None = None,
    task: int | None = None,
    emails: Iterable[str] = (),
    rooms: LabellingPlatform | None = None,
    now_s: float,
) -> Erased:
    """Erase a person, or a task, everywhere in a project. Safe to repeat, and to kill: again does what is left.

    Of a person: what they said, wrote and did, also as reviewers; that cases were decided stays. Of a task: its copies,
    too, which are also taken out of Label Studio where `rooms` leads there. `emails` are the person's addresses beside
    those of their sessions; the active policy loses them, and PolicyError says so where it cannot do without.
    """
    if (person is None) == (task is None):
        raise StoreError("forget either a person or a task.", hint="`hitl forget --person ID` or `--task ID`.")
    around = store.review_projects.list_review_project_ids(project)
    gone: dict[str, Forgotten] = {}
    if task is not None:
        copies = list(_copies(store, store.cases.list_case_ids(project, task), around))
        left = [one.task for one in copies if not _taken_out(rooms, one)]
        for one in copies:
            gone[one.room] = _sum(gone.get(one.room), store.erase(one.room, task=one.task, until=one.until))
        return Erased(store.erase(project, task=task), gone, len(copies), tuple(left))
    known = frozenset(emails) | store.sessions.list_emails(person or 0)
    _leave_policy(store, project, known, now_s=now_s)
    words = _words_of(store, project, person or 0)
    copies = list(_copies(store, words, around))
    left = [one.task for one in copies if not _retold(store, rooms, one, words)]
    done = store.erase(project, person=person, emails=known)  # before the others: their addresses go with it
    for room in around:
        gone[room] = store.erase(room, person=person, emails=known)
    return Erased(done, gone, len(copies), tuple(left))


def forget_in_backup(store: Store, project: str, person: int) -> None:
    """Erase somebody from an older store who has been forgotten since; Label Studio was told then."""
    row = store.projects.get_project(project)
    if row is None:
        store.erase(project, person=person)
    elif not row.source:  # a review project goes with its own
        forget(store, project, person=person, now_s=time.time())


def _words_of(store: Store, project: str, person: int) -> dict[int, list[str]]:
    """What a reviewer wrote, by case: later readers were shown it."""
    found: dict[int, list[str]] = {}
    for look in store.reviews.list_reviews(project):
        if look.person == person and look.comment:
            found.setdefault(look.case, []).append(look.comment)
    return found


def _copies(store: Store, cases: Iterable[int], rooms: Iterable[str]) -> Iterator[_Copy]:
    """Every copy that ever stood for these cases, honeypots made of them included."""
    wanted = set(cases)
    if not wanted:
        return
    placed = {
        (str(step.body["room"]), int(step.body["task"]))
        for trail in store.cases.list_events_of_cases(sorted(wanted)).values()
        for step in trail
        if step.event == "place"
    }
    for room in rooms:
        standing = {task.id: task for task in store.tasks.list_tasks(room)}
        placed |= {(room, one.id) for one in standing.values() if _case_of(one) in wanted}  # put in before a kill
    pots = {(str(one["room"]), int(one["task"])) for one in store.cases.list_honeypots(wanted)}
    for room, task in sorted(placed | pots):
        now = store.tasks.get_task(room, task)
        if now is not None and (room, task) not in pots and _case_of(now) not in wanted:
            yield _Copy(room, task, None, moment(epoch_s(canonical_time(now.created_at)) - 1e-6))
        else:
            yield _Copy(room, task, now, "")


def _case_of(copy: Task) -> int:
    """The case that a copy is of; 0 for what is no copy."""
    parts = str(copy.data.get(KEY, "")).split("-")
    return int(parts[1]) if len(parts) > 2 and parts[1].isdecimal() else 0


def _taken_out(rooms: LabellingPlatform | None, copy: _Copy) -> bool:
    if copy.now is None:
        return True
    try:
        return rooms is not None and rooms.delete_review_task(copy.room, copy.task, answered=True)
    except LabelStudioError:
        return False


def _retold(store: Store, rooms: LabellingPlatform | None, copy: _Copy, words: Mapping[int, list[str]]) -> bool:
    """Take what a person wrote out of a copy, here and in Label Studio; others' answers to it stay."""
    if copy.now is None:
        store.erase(copy.room, task=copy.task, until=copy.until)
        return True
    said = words.get(_case_of(copy.now), [])
    told = copy.now.data.get(HISTORY)
    lines = told if isinstance(told, list) else []
    data = {**copy.now.data, HISTORY: [_without(line, said) for line in lines]}
    if data == copy.now.data:
        return True
    store.replace_task_data(copy.room, replace(copy.now, data=data))
    try:
        if rooms is None:
            return False
        rooms.update_review_task(copy.room, copy.task, data)
    except LabelStudioError:
        return False
    return True


def _without(line: Any, words: Iterable[str]) -> Any:
    if isinstance(line, Mapping) and any(one in str(line.get("said", "")) for one in words):
        return {**line, "said": _FORGOTTEN}
    return line


def _leave_policy(store: Store, project: str, emails: frozenset[str], *, now_s: float) -> None:
    """Activate the policy without somebody: from then on they have no rights here."""
    row = store.projects.get_project(project)
    if row is None:
        raise NotStored(f"project {project} is not known.")
    policy = policy_of(row)
    left = {name: one for name, one in policy.people.items() if not any(same_email(name, email) for email in emails)}
    if len(left) == len(policy.people):
        return
    try:
        without = Policy.model_validate(policy.model_dump(mode="json") | {"people": _plain(left)})
    except ValidationError as error:
        hint = "Activate a policy that does without them, then forget them."
        raise StoreError(f"the policy cannot do without them: {error.errors()[0]['msg']}", hint=hint) from None
    store.policies.activate_policy(row, without, who="hitl forget", now_s=now_s)


def _plain(people: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one.model_dump(mode="json") for name, one in people.items()}


def _sum(one: Forgotten | None, other: Forgotten) -> Forgotten:
    if one is None:
        return other
    return Forgotten(
        one.annotations + other.annotations,
        one.tasks + other.tasks,
        one.events + other.events,
        one.models + other.models,
    )
