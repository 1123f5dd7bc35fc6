"""Which project is meant by a number, by a title, or by nothing: the same for everything that takes a PROJECT."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

from feedback.errors import NotConnected, UnknownProject
from ml_backend.left_out import name_some

if TYPE_CHECKING:
    from feedback.store import ProjectRow, Store
    from ml_backend.labelstudio.client import Client

_KNOWN = "known projects"


def require_project(store: Store, project: str = "") -> ProjectRow:
    """Return the row of a project, by its number or its title; by "" the only connected one.

    NotConnected lists the projects that are meant or known, and suggests one with nearly that title.
    """
    row = store.projects.get_project(project) if project else None
    if row is not None:
        return row
    rows = store.projects.list_projects()
    if not project:
        rows = [row for row in rows if row.connected] or rows
        if len(rows) != 1:
            listed = list_titles({row.id: row.title for row in rows})
            raise NotConnected(
                f"which project? {len(rows)} are known: {listed}." if rows else "no project is connected.",
                hint="Name the project by its number or title." if rows else "Run `hitl connect PROJECT` first.",
            )
        return rows[0]
    number = match_title(project, {row.id: row.title for row in rows})
    return next(row for row in rows if row.id == number)


def find_project_of(store: Store, project: str, task: int) -> ProjectRow:
    """Return the row of a project; by "" the one that has or had the task, as Label Studio numbers all tasks together.

    NotConnected where no project or more than one has it.
    """
    rows = store.projects.list_projects()
    if project or not rows:
        return require_project(store, project)
    found = [
        row
        for row in rows
        if store.tasks.get_task(row.id, task) is not None or store.decisions.list_decisions(row.id, task=task)
    ]
    if len(found) == 1:
        return found[0]
    listed = list_titles({row.id: row.title for row in found or rows})
    raise NotConnected(
        f"{'several projects have' if found else 'no project has'} a task {task}; known projects: {listed}.",
        hint=f"Name the project before the task: 12 {task}.",
    )


def find_number(store: Store, client: Client, project: str) -> str:
    """Return the number of a project that need not be connected; Label Studio knows its number or its title.

    UnknownProject as in `match_title`.
    """
    if store.projects.get_project(project) is not None:
        return project
    titles = {str(body["id"]): str(body["title"]) for body in client.projects()}
    return project if project in titles else match_title(project, titles, among="projects in Label Studio")


def match_title(text: str, titles: Mapping[str, str], *, among: str = _KNOWN) -> str:
    """Return the number of the only project with this title; case and spaces do not matter.

    UnknownProject where no project or more than one is called so; it suggests the one with nearly that title.

    >>> match_title("spam  Mails", {"7": "Spam mails", "8": "Digits"})
    '7'
    """
    numbers: dict[str, list[str]] = {}
    for number, title in titles.items():
        numbers.setdefault(_plain(title), []).append(number)
    same = numbers.get(_plain(text), [])
    if len(same) > 1:
        raise UnknownProject(f"{len(same)} projects are called {text!r}: {', '.join(same)}.", hint="Give a number.")
    if same:
        return same[0]
    near = get_close_matches(_plain(text), filter(None, numbers), n=1)
    suggested = f"Did you mean {list_titles({it: titles[it] for it in numbers[near[0]]})}? " if near else ""
    is_number = text.isdecimal() and among == _KNOWN
    connect = f"Run `hitl connect {text}` first." if is_number else UnknownProject.hint
    raise UnknownProject(
        f"project {text!r} is not known; {among}: {list_titles(titles) or 'none'}.", hint=f"{suggested}{connect}"
    )


def list_titles(titles: Mapping[str, str]) -> str:
    """Return projects as text, each by number and title; of many only some.

    >>> list_titles({"7": "Spam mails", "8": ""})
    "7 'Spam mails', 8"
    """
    return name_some([f"{number} {title!r}" if title else number for number, title in titles.items()], most=20)


def _plain(title: str) -> str:
    return " ".join(title.casefold().split())
