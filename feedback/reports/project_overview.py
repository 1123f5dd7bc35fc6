"""What stands on a project's page: its status, how its model came to be, what waits, and what is blind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from feedback.policy import Policy
from feedback.project.snapshot import project_draws
from feedback.reports.annotator_counts import drawn_votes, people_figures
from feedback.reports.blind_tasks import why_blind
from feedback.reports.model_history import accuracy_over_time, verdicts
from feedback.reports.project_status import project_status
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
    """Everybody's figures in a project, from the tasks that were drawn for several people.

    `more` is what the last turn worked out of each: gold, onboarding, pace, fatigue and practice; None before it did.
    """
    kept = store.latest(project.id, "people")
    more = {one["person"]: one for one in kept.body["people"]} if kept else {}
    try:
        control = read_label_config(project.label_config).control(policy.model.control).name
    except LabelConfigError as error:
        found = people_figures(store.people(project.id), [], bots=project.bots) | {"note": str(error)}
    else:
        draws = project_draws(store, project, policy)
        votes = drawn_votes(
            store.crowd_votes(project.id, control), lambda names: draws.doubled([draws.unit_of(name) for name in names])
        )
        found = people_figures(store.people(project.id), votes, bots=project.bots)
    return found | {"people": [one | {"more": _more(more.get(one["person"]))} for one in found["people"]]}


def _more(figures: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What a page shows of a person; their number stays outside, since it may show a pseudonym."""
    if figures is None or "by_hour" not in figures:  # an older version recorded less
        return None
    kept = {name: value for name, value in figures.items() if name not in ("person", "time_share")}
    label, share = max(figures["time_share"].items(), key=lambda pair: pair[1]["value"], default=("", None))
    return kept | {"longest": share and {"label": label, **share}}


def _cases(store: Store, project: str) -> list[dict[str, Any]]:
    counts = store.case_counts(project)
    return [{"tier": tier, "state": state, "count": count} for (tier, state), count in sorted(counts.items())]
