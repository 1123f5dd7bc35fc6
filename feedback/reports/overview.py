"""What stands on a project's page: its status, how its model came to be, what waits, and what is blind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from feedback.learning.scene import project_draws
from feedback.policy import Policy
from feedback.reports.blindness import why_blind
from feedback.reports.history import accuracy_over_time, verdicts
from feedback.reports.people import drawn_votes, people_figures
from feedback.reports.status import project_status
from feedback.store import ProjectRow, Store
from ml_backend.errors import LabelConfigError
from ml_backend.label_config import read_label_config

_VERDICTS = 100


def project_overview(store: Store, project: ProjectRow, policy: Policy) -> dict[str, Any]:
    """Everything of one project as plain JSON; counted, never loaded, so that size does not matter."""
    status = project_status(store, project)
    found = verdicts(store.records(project.id, "verdict", limit=_VERDICTS))
    queue, turn = store.queue_counts(project.id), store.latest(project.id, "turn")
    asked, agreement = store.latest(project.id, "asked"), store.latest(project.id, "agreement")
    draws = project_draws(store, project, policy)
    return {
        **status,
        "accuracy_over_time": accuracy_over_time(found),
        "verdicts": found,
        "queue": {**asdict(queue), "why": asked.body.get("why", "") if asked else ""} if queue else None,
        "confused": agreement.body.get("confused") if agreement else None,
        "differ": agreement.body.get("open", []) if agreement else [],
        "work": [asdict(row) for row in store.works() if row.project == project.id],
        "last_turn": {"at_s": turn.at_s, "asked": turn.body.get("asked", "")} if turn else None,
        "policy": {"hash": policy.hash, "rules": len(policy.routing), "tiers": list(policy.tiers)},
        "blind": why_blind(
            has_model=status["model"] is not None,
            audit_share=draws.audit_share,
            overlap_share=draws.overlap_share,
            queue=queue,
        ),
        "cases": _cases(store, project.id),
    }


def project_people(store: Store, project: ProjectRow, policy: Policy) -> dict[str, Any]:
    """Everybody's figures in a project, from the tasks that were drawn for several people."""
    try:
        control = read_label_config(project.label_config).control(policy.model.control).name
    except LabelConfigError as error:
        return people_figures(store.people(project.id), [], bots=project.bots) | {"note": str(error)}
    draws = project_draws(store, project, policy)
    votes = drawn_votes(
        store.crowd_votes(project.id, control), lambda names: draws.doubled([draws.unit_of(name) for name in names])
    )
    return people_figures(store.people(project.id), votes, bots=project.bots)


def _cases(store: Store, project: str) -> list[dict[str, Any]]:
    counts = store.case_counts(project)
    return [{"tier": tier, "state": state, "count": count} for (tier, state), count in sorted(counts.items())]
