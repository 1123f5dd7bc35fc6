"""What is held of one person: for them, when they ask."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from feedback.store import Store


def held_of(store: Store, project: str, person: int) -> dict[str, Any]:
    """Everything of a person in a project, as plain JSON; other people's words are not in it."""
    standing = next((asdict(one) for one in store.people(project) if one.id == person), None)
    return {
        "project": project,
        "person": person,
        "standing": standing,
        "versions": [asdict(one) for one in store.said_by(project, person)],
        "votes": [
            {
                "task": vote.task,
                "control": vote.control,
                "annotation": vote.annotation,
                "at_s": vote.at_s,
                "lead_time_s": vote.lead_time_s,
                "answer": vote.answer.key,
                "shown": vote.shown,
            }
            for vote in store.votes(project)
            if vote.person == person
        ],
        "skips": [asdict(one) for one in store.skips(project) if one.person == person],
        "records": [asdict(one) for one in store.records_about(project, person)],
    }
