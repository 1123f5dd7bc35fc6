"""The figures of a project's page: status, history of the model, queue, work, and which tasks are blind and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from feedback.policy import Policy
from feedback.project.snapshot import load_splits
from feedback.reports.formatting import number, percent
from feedback.reports.project_status import accuracy_json, project_status
from feedback.store import ProjectRow, QueueCounts, Record, Store

_MAX_VERDICTS = 100


def project_overview(store: Store, project: ProjectRow, policy: Policy) -> dict[str, Any]:
    """Return all figures of a project's page as JSON; they are counted in the database, so large projects are fast."""
    status = project_status(store, project)
    records = store.records.list_records(project.id, "verdict", limit=_MAX_VERDICTS)
    verdicts = [verdict_json(record) for record in records]
    queue = store.windows.count_window(project.id)
    turn, asked, agreement = (
        store.records.get_latest_record(project.id, kind) for kind in ("turn", "asked", "agreement")
    )
    draws = load_splits(store, project, policy)
    return {
        **status,
        "accuracy_over_time": accuracy_over_time(verdicts),
        "verdicts": verdicts,
        "queue": {**asdict(queue), "why": asked.body.get("why", "") if asked else ""} if queue else None,
        "confused_labels": agreement.body.get("confused_labels") if agreement else None,
        "open_first": agreement.body.get("open_first", []) if agreement else [],
        "work": [asdict(row) for row in store.jobs.list_jobs() if row.project == project.id],
        "last_turn": {"at_s": turn.at_s, "asked": turn.body.get("asked", "")} if turn else None,
        "policy": {"hash": policy.hash, "rules": len(policy.routing), "tiers": list(policy.tiers)},
        "blind": explain_blind_tasks(
            has_model=status["model"] is not None,
            audit_share=draws.audit_share,
            overlap_share=draws.overlap_share,
            queue=queue,
        ),
        "cases": count_cases(store, project.id),
    }


def count_cases(store: Store, project: str) -> list[dict[str, Any]]:
    """Return the number of review cases by tier and state."""
    counts = store.cases.count_cases(project)
    return [{"tier": tier, "state": state, "count": count} for (tier, state), count in sorted(counts.items())]


def accuracy_over_time(verdicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the accuracy of the serving model at each verdict, oldest first; `verdicts` come newest first.

    A promoted challenger serves from its verdict on. A rejected one leaves the champion, which was judged on the same
    rows. Each interval is for one point alone: it does not say whether two points differ.
    """
    points = []
    for verdict in reversed(verdicts):
        figure = verdict["accuracy"] if verdict["promote"] else verdict["champion_accuracy"]
        if figure is not None:
            version = verdict["challenger"] if verdict["promote"] else verdict["champion"]
            points.append({"at_s": verdict["at_s"], "version": version, **figure})
    return points


def explain_blind_tasks(
    *, has_model: bool, audit_share: float, overlap_share: float, queue: QueueCounts | None
) -> list[str]:
    """Explain in sentences which tasks show no prediction; the shares are of all tasks, in [0, 1].

    >>> for line in explain_blind_tasks(has_model=False, audit_share=0.0, overlap_share=0.0, queue=None):
    ...     print(line)
    Every task is blind for now: no model serves yet.
    """
    lines = []
    if not has_model:
        lines.append("Every task is blind for now: no model serves yet.")
    if queue is not None and queue.open:
        lines.append(f"{number(queue.blind_open)} of the {number(queue.open)} open tasks of the queue are blind.")
    if audit_share > 0:
        lines.append(
            f"{percent(audit_share)} of all tasks are audit tasks, drawn at random once and for all. Nobody sees a "
            "prediction on them and no model learns from them, so their answers measure the model without bias."
        )
    if overlap_share > 0:
        lines.append(
            f"{percent(overlap_share)} of all tasks are drawn for several people, who answer without a prediction, "
            "so that it does not raise their agreement."
        )
    if has_model:
        lines.append(
            "A task is also blind when another person answers it because people disagree, when it is a gold task, "
            "and when the model cannot read it."
        )
    return lines


def verdict_json(record: Record) -> dict[str, Any]:
    """Return a promotion verdict as JSON, each accuracy with its 95 % interval."""
    body = record.body
    rows = int(body.get("rows") or 0)
    return {
        **{name: str(body.get(name, "")) for name in ("gate", "reason", "challenger", "champion")},
        "at_s": float(body.get("at_s") or 0.0),
        "promote": bool(body.get("promote")),
        "rows": rows,
        "accuracy": accuracy_json(body.get("accuracy"), rows),
        "champion_accuracy": accuracy_json(body.get("champion_accuracy"), rows),
        "e_value": body.get("e_value"),
    }
