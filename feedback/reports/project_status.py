"""Where a project stands: model, queue, agreement, verdicts, loop latency, closure, and whatever is wrong."""

from __future__ import annotations

from typing import Any

from feedback.ingest.missed_changes import missed
from feedback.labelling_platform.stale_predictions import cleaned
from feedback.labelling_platform.unreadable import unread
from feedback.stats.intervals import wilson
from feedback.store import ProjectRow, Record, Store
from feedback.training.challenger import learned_annotations

_LAST = 10  # promoted models that the loop's latency is measured on: how fast it is now, not how slow it began


def project_status(store: Store, project: ProjectRow) -> dict[str, Any]:
    """One project as plain JSON; what is not known yet is None."""
    counts = store.project_counts(project.id)
    queue = store.queue_counts(project.id)
    champion = store.registry.champion(project.id)
    turn = store.latest(project.id, "turn")
    work = [row for row in store.works() if row.project == project.id]
    return {
        "project": project.id,
        "title": project.title,
        "state": "paused" if project.paused else "connected" if project.connected else "learning from webhooks alone",
        "tasks": counts.tasks,
        "answered": counts.answered,
        "answers": counts.answers,
        "skips": counts.skips,
        "kept_back": counts.kept_back,
        "routed": store.routed(project.id) or None,
        "signals_waiting": store.parked_count(project.id),
        "people": counts.people,
        "model": _model(store, project.id, champion.version) if champion else None,
        "first_model_waits_for": (turn.body.get("waits") or None) if turn and not champion else None,
        "audit_accuracy": _audit_accuracy(store, project.id),
        "agreement": _agreement(store, project.id),
        "window": {"version": queue.version, "rows": queue.rows, "open": queue.open} if queue else None,
        "verdict": _body(store, project.id, "verdict"),
        "closure_rate": _closure(store, project.id, champion.version if champion else "", turn),
        "loop_latency_s": _latency(store, project.id),
        "missed_by_webhooks": missed(store, project.id),
        "old_predictions": cleaned(store, project.id),
        "behind": sum(row.state != "idle" for row in work),
        "parked": [f"{row.kind}: {row.reason}" for row in work if row.state == "parked"],
        "unreadable": counts.unreadable,
        "left_out": unread(store, project.id),
        "notes": list(turn.body["notes"]) if turn else [],
    }


def service_gauges(store: Store) -> dict[str, float]:
    """The figures of /metrics that come from the store, summed over projects."""
    stats, works, waiting = store.stats(), store.works(), store.waiting()
    tidied = [cleaned(store, row.id) for row in store.projects()]
    return {
        "hitl_events": stats.events,
        "hitl_votes": stats.votes,
        "hitl_models": stats.models,
        "hitl_inbox_deliveries": waiting.deliveries,
        "hitl_inbox_refused": len(waiting.problems),
        "hitl_work_behind": sum(row.state != "idle" for row in works),
        "hitl_work_parked": sum(row.state == "parked" for row in works),
        "hitl_reconcile_missed_total": sum(missed(store, row.id) for row in store.projects()),
        "hitl_old_predictions_deleted_total": sum(one["deleted"] for one in tidied),
        "hitl_old_predictions_waiting": sum(one["waiting"] for one in tidied),
    }


def service_status(store: Store) -> dict[str, Any]:
    """The service as plain JSON."""
    stats, waiting = store.stats(), store.waiting()
    inbox = {"deliveries": waiting.deliveries, "oldest_s": waiting.oldest_s, "refused": list(waiting.problems)}
    return {"events": stats.events, "models": stats.models, "store_bytes": stats.bytes, "inbox": inbox}


def _model(store: Store, project: str, version: str) -> dict[str, Any]:
    training = store.latest(project, "training", key=version)
    body = training.body if training else {}
    return {"version": version, "rows": body.get("rows"), "recipe": body.get("recipe"), "trained_s": body.get("at_s")}


def _audit_accuracy(store: Store, project: str) -> dict[str, Any] | None:
    """The serving model on the judge rows of its promotion."""
    for record in store.records(project, "verdict"):
        body = record.body
        if body.get("promote") and body.get("accuracy") is not None:
            rows = int(body["rows"])
            interval = wilson(round(body["accuracy"] * rows), rows)
            return {"value": body["accuracy"], "low": interval.low, "high": interval.high, "rows": rows}
    return None


def _agreement(store: Store, project: str) -> dict[str, Any] | None:
    body = _body(store, project, "agreement")
    if body is None:
        return None
    kappa = body["kappa"]
    return {
        "percent": body["percent"]["value"],
        "kappa": kappa["value"],
        "low": kappa["low"],
        "high": kappa["high"],
        "items": body["percent"]["items"],
        "reading": body["reading"],
    }


def _closure(store: Store, project: str, version: str, turn: Record | None) -> float | None:
    """The share of human answers that the serving model has learned from; audit answers are never learned from."""
    trainable = int(turn.body.get("trainable", 0)) if turn else 0
    if not trainable:
        return None
    return round(min(1.0, len(learned_annotations(store, project, version)) / trainable), 4) if version else 0.0


def _latency(store: Store, project: str) -> float | None:
    """Median seconds from an answer to the promotion of the first model that learned from it, of the last models."""
    promoted = [one.body for one in store.records(project, "verdict") if one.body.get("promote")]
    waits: list[float] = []
    learned: dict[str, frozenset[int]] = {}
    for body, before in zip(promoted[:_LAST], [*promoted[1:], {}], strict=False):
        for version in filter(None, (body["challenger"], before.get("challenger"))):
            learned.setdefault(version, learned_annotations(store, project, version))
        new = learned[body["challenger"]] - learned.get(before.get("challenger", ""), frozenset())
        waits += [body["at_s"] - at_s for at_s in store.answered_at(project, new)]
    return round(sorted(waits)[len(waits) // 2], 2) if waits else None


def _body(store: Store, project: str, kind: str) -> dict[str, Any] | None:
    found = store.latest(project, kind)
    return dict(found.body) if found else None
