"""Subject access: all data that is stored about one person, for the person who asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from feedback.store import DataSubject, Store


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
