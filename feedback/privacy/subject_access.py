"""What is held of one person: for them, when they ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from feedback.store import Store, Whom


def held_of(store: Store, project: str, person: int, *, emails: Iterable[str] = ()) -> dict[str, Any]:
    """Everything of a person in a project and its review projects, as plain JSON; other people's words are not in it.

    `versions` is all that they ever said, as it was; `held` every row that names them, by table.
    """
    known = frozenset(emails) | store.sessions.list_emails(person)
    projects = [project, *store.review_projects.list_review_project_ids(project)]
    held: dict[str, list[dict[str, Any]]] = {}
    for one in projects:
        for table, rows in store.list_personal_data(Whom(one, person, known)).items():
            held.setdefault(table, []).extend(row for row in rows if row not in held.get(table, []))
    versions = [
        asdict(version) | {"project": one}
        for one in projects
        for version in store.events.list_versions_by_person(one, person)
    ]
    return {"project": project, "person": person, "emails": sorted(known), "versions": versions, "held": held}
