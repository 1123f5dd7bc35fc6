"""The status of a project and of the service, as JSON and as sentences for a terminal; the figures of its page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from feedback.ingest.left_out_records import count_left_out, list_left_out
from feedback.ingest.polling import DRAFTS, count_missed_changes, list_unreadable
from feedback.labelling_platform.deletion_schedule import count_deleted_predictions
from feedback.policy import Policy
from feedback.project.snapshot import load_splits
from feedback.reports.figures import make_figure
from feedback.reports.imported_answers import imported_json
from feedback.reports.uncounted_answers import (
    EMPTY,
    count_uncounted,
    describe_not_learned,
    list_uncounted,
)
from feedback.stats.intervals import wilson
from feedback.store import CaseFilter, JobRow, ProjectRow, Record, Store
from feedback.training.challenger import learned_annotations
from ml_backend.number_format import format_count, format_set_percent

Figures = Mapping[str, Any]
_MAX_VERDICTS = 100  # newest, on the page of a project and behind the figures of the serving model
_JUDGED_ON = "audit tasks that decided this verdict"
_LATENCY_MODELS = 10  # newest promoted models: the latency of today, not of the first weeks


@dataclass(frozen=True, slots=True)
class _Newest:
    """The newest records of a project, from which both its status and its page are made."""

    turn: Record | None
    verdicts: list[Record]  # newest first
    agreement: dict[str, Any]  # {}: not measured yet
    jobs: list[JobRow]


def _read_newest(store: Store, project: str) -> _Newest:
    return _Newest(
        store.records.get_latest_record(project, "turn"),
        store.records.list_records(project, "verdict", limit=_MAX_VERDICTS),
        _latest(store, project, "agreement"),
        [row for row in store.jobs.list_jobs() if row.project == project],
    )


def project_status(store: Store, project: ProjectRow) -> dict[str, Any]:
    """Return the status of a project as JSON; what is not known yet is None."""
    return _status(store, project, _read_newest(store, project.id))


def _status(store: Store, project: ProjectRow, newest: _Newest) -> dict[str, Any]:
    counts = store.projects.count_project(project.id)
    uncounted = list_uncounted(store, project)
    queue = store.windows.count_window(project.id) if project.connected else None  # disconnect removes it
    champion = store.registry.champion(project.id)
    turn = newest.turn.body if newest.turn else {}
    verdicts = [row.body for row in newest.verdicts]
    return {
        "project": project.id,
        "title": project.title,
        "state": project_state(project),
        "tasks": counts.tasks,
        "answered": counts.answered,
        "answers": counts.answers,
        "answers_not_counted": store.uncounted.count_answers_without(project.id, uncounted),
        "skips": counts.skips,
        "imported": imported_json(project.policy.imports, counts.imported, counts.copied, turn.get("imports", {})),
        "drafts": int(_latest(store, project.id, DRAFTS).get("tasks", 0)),
        "kept_back": counts.kept_back,
        "routed": store.decisions.count_outcomes(project.id) or None,
        "signals_waiting": store.signals.count_unmatched_signals(project.id),
        "people": counts.people,
        "model": _model(store, project.id, champion.version) if champion else None,
        "first_model_waits_for": None if champion else turn.get("waits") or None,
        "audit_accuracy": model_accuracies(verdicts).get(champion.version) if champion else None,
        "agreement": _agreement(newest.agreement),
        "window": asdict(queue) if queue else None,
        "verdict": dict(verdicts[0]) if verdicts else None,
        "closure_rate": _closure(store, project.id, champion.version if champion else "", turn),
        "loop_latency_s": _latency(store, project.id, verdicts),
        "missed_by_webhooks": count_missed_changes(store, project.id),
        "old_predictions": count_deleted_predictions(store, project.id),
        "behind": sum(row.state != "idle" for row in newest.jobs),
        "parked": [f"{row.kind}: {row.reason}" for row in newest.jobs if row.state == "parked"],
        "unreadable": counts.unreadable,
        "not_counted": count_uncounted(uncounted),
        "empty_answers": sum(row.why == EMPTY for row in uncounted),
        "not_learned": describe_not_learned(project, uncounted, turn, answers=counts.answers),
        "left_out": describe_left_out(store, project.id),
        "notes": list(turn.get("notes", ())),
    }


def describe_left_out(store: Store, project: str) -> list[str]:
    """Return the rows that turns of the last day left out, and the answers that cannot be read, in sentences."""
    return [*list_left_out(store, project), *list_unreadable(store, project)]


def project_overview(store: Store, project: ProjectRow, policy: Policy) -> dict[str, Any]:
    """Return all figures of a project's page as JSON; they are counted in the database, so large projects are fast."""
    newest = _read_newest(store, project.id)
    status, turn, verdicts = _status(store, project, newest), newest.turn, list(map(verdict_json, newest.verdicts))
    window = status["window"]
    why = _latest(store, project.id, "asked").get("why", "")
    draws = load_splits(store, project, policy)
    return {
        **status,
        "accuracy_over_time": accuracy_over_time(verdicts),
        "verdicts": verdicts,
        "queue": window and {**window, "why": why},
        "confused_labels": newest.agreement.get("confused_labels"),
        "open_first": newest.agreement.get("open_first", []),
        "work": list(map(asdict, newest.jobs)),
        "last_turn": {"at_s": turn.at_s, "asked": turn.body.get("asked", "")} if turn else None,
        "policy": {"hash": policy.hash, "rules": len(policy.routing), "tiers": list(policy.tiers)},
        "blind": _explain_blind_tasks(
            has_model=status["model"] is not None,
            audit_share=draws.audit_share,
            overlap_share=draws.overlap_share,
            window=window or {},
        ),
        "cases": count_cases(store, project),
    }


def count_cases(store: Store, project: ProjectRow) -> list[dict[str, Any]]:
    """Return the number of review cases by tier and state, without tasks of the first tier that only have a clock."""
    counts = store.cases.count_cases(project.id, CaseFilter(clocked_tier=project.policy.first_tier, clocked=False))
    return [{"tier": tier, "state": state, "count": count} for (tier, state), count in sorted(counts.items())]


def list_verdicts(store: Store, project: str, *, limit: int = _MAX_VERDICTS) -> list[Figures]:
    """Return the newest verdicts of a project as they are recorded, newest first."""
    return [row.body for row in store.records.list_records(project, "verdict", limit=limit)]


def model_accuracies(verdicts: Iterable[Figures]) -> dict[str, dict[str, Any] | None]:
    """Return how often each model is right, by version, as its newest verdict found it; `verdicts` come newest first.

    On tune rows, which decide no promotion; where there are none, on the rows that decided it. It is the one figure for
    the accuracy of a model: what people change in the queue says less, because the queue asks hard tasks first.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for verdict in verdicts:
        for name in ("challenger", "champion"):
            if version := verdict.get(name):
                found.setdefault(version, _accuracy_of(verdict, challenger=name == "challenger"))
    return found


def accuracy_over_time(verdicts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the accuracy of the serving model at each verdict, oldest first; `verdicts` come newest first.

    A promoted challenger serves from its verdict on. A rejected one leaves the champion, which was measured on the same
    rows: tune rows, where there are any, because those that decided a promotion flatter it. Each interval is for
    one point alone: it does not say whether two points differ.
    """
    points = []
    for verdict in reversed(verdicts):
        figure = verdict["serving_accuracy"]
        if figure is not None:
            version = verdict["challenger"] if verdict["promote"] else verdict["champion"]
            points.append({"at_s": verdict["at_s"], "version": version, **figure})
    return points


def verdict_json(record: Record) -> dict[str, Any]:
    """Return a promotion verdict as JSON, each accuracy with its 95 % interval."""
    body = record.body
    rows = int(body.get("rows") or 0)
    return {
        **{name: str(body.get(name, "")) for name in ("gate", "reason", "challenger", "champion")},
        "at_s": float(body.get("at_s") or 0.0),
        "promote": bool(body.get("promote")),
        "rows": rows,
        "accuracy": _accuracy(body, "accuracy", rows, _JUDGED_ON),
        "champion_accuracy": _accuracy(body, "champion_accuracy", rows, _JUDGED_ON),
        "e_value": body.get("e_value"),
        "detectable": body.get("detectable"),
        "serving_accuracy": _accuracy_of(body, challenger=bool(body.get("promote"))),
    }


def project_state(project: ProjectRow) -> str:
    """Return whether a project is paused, connected, a review project, or only known by the webhooks that reach us."""
    if project.source:
        return f"the review project of project {project.source}: see `hitl cases {project.source}`"
    if project.paused:
        return "paused"
    if project.connected:
        return "connected"
    if project.settings_snapshot:
        return "connected in part: run `hitl connect` again"
    return "not connected: nothing is written, and only webhooks that still come are read"


def service_gauges(store: Store) -> dict[str, float | dict[str, float]]:
    """Return the gauges of /metrics that come from the store: summed over projects, or by project."""
    stats, jobs, waiting = store.get_stats(), store.jobs.list_jobs(), store.get_inbox_status()
    projects = store.projects.list_projects()
    deletions = [count_deleted_predictions(store, row.id) for row in projects]
    beat_s = max((row.beat_s for row in store.liveness.list_heartbeats()), default=0.0)
    return {
        "hitl_worker_heartbeat_timestamp_seconds": beat_s,
        "hitl_events": stats.events,
        "hitl_votes": stats.votes,
        "hitl_models": stats.models,
        "hitl_inbox_deliveries": waiting.deliveries,
        "hitl_inbox_refused": len(waiting.problems),
        "hitl_jobs_pending": sum(row.state != "idle" for row in jobs),
        "hitl_jobs_parked": sum(row.state == "parked" for row in jobs),
        "hitl_rows_left_out": sum(count_left_out(store, row.id) for row in projects),
        "hitl_missed_changes_total": sum(count_missed_changes(store, row.id) for row in projects),
        "hitl_old_predictions_deleted_total": sum(counts["deleted"] for counts in deletions),
        "hitl_old_predictions_waiting": sum(counts["waiting"] for counts in deletions),
        **_stage_gauges(store, projects),
        **_project_gauges(store, projects),
    }


def _project_gauges(store: Store, projects: Iterable[ProjectRow]) -> dict[str, dict[str, float]]:
    """Return the agreement and the accuracy of the serving model, as the pages show them, where they are known."""
    found: dict[str, dict[str, float]] = {"hitl_agreement": {}, "hitl_model_accuracy": {}}
    for row in projects:
        champion, agreement = store.registry.champion(row.id), _agreement(_latest(store, row.id, "agreement"))
        accuracy = _serving_accuracy(store, row.id, champion.version) if champion else None
        for name, figure in (("hitl_agreement", agreement), ("hitl_model_accuracy", accuracy)):
            if figure and figure["value"] is not None:
                found[name][row.id] = figure["value"]
    return found


def _serving_accuracy(store: Store, project: str, version: str) -> dict[str, Any] | None:
    """Return the accuracy of the serving model by `model_accuracies`; the newest verdict nearly always judged it."""
    accuracies = model_accuracies(list_verdicts(store, project, limit=1))
    return (accuracies if version in accuracies else model_accuracies(list_verdicts(store, project))).get(version)


def _stage_gauges(store: Store, projects: Iterable[ProjectRow]) -> dict[str, float]:
    """Return the seconds of each stage of the last turn, of the project where it took longest."""
    longest_s: dict[str, float] = {}
    for row in projects:
        for stage, seconds in _latest(store, row.id, "turn").get("stages", {}).items():
            name = f"hitl_turn_{stage.replace(' ', '_')}_seconds"
            longest_s[name] = max(seconds, longest_s.get(name, 0.0))
    return longest_s


def service_status(store: Store) -> dict[str, Any]:
    """Return the status of the service as JSON."""
    stats, waiting = store.get_stats(), store.get_inbox_status()
    inbox = {"deliveries": waiting.deliveries, "oldest_s": waiting.oldest_s, "refused": list(waiting.problems)}
    return {"events": stats.events, "models": stats.models, "store_bytes": stats.bytes, "inbox": inbox}


def _explain_blind_tasks(*, has_model: bool, audit_share: float, overlap_share: float, window: Figures) -> list[str]:
    """Explain in sentences which tasks show no prediction; the shares are of all tasks, in [0, 1]."""
    lines = []
    if not has_model and not window.get("imported"):
        lines.append("Every task is blind for now: no model serves yet.")
    if window.get("open"):
        blind, n_open = format_count(window["blind_open"]), format_count(window["open"])
        lines.append(f"{blind} of the {n_open} open tasks of the queue are blind.")
    if audit_share > 0:
        lines.append(
            f"{format_set_percent(audit_share)} of all tasks are audit tasks, drawn at random once and for all. Nobody "
            "sees a prediction on them and no model learns from them, so their answers measure the model without bias."
        )
    if overlap_share > 0:
        lines.append(
            f"{format_set_percent(overlap_share)} of all tasks are drawn for several people, who answer without a "
            "prediction, so that it does not raise their agreement."
        )
    if has_model:
        lines.append(
            "A task is also blind when another person answers it because people disagree, when it is a gold task, "
            "and when the model cannot read it."
        )
    return lines


def _model(store: Store, project: str, version: str) -> dict[str, Any]:
    body = _latest(store, project, "training", key=version)
    figures = {"rows": body.get("rows"), "imported": len(body.get("imported", ())), "recipe": body.get("recipe")}
    return {"version": version, **figures, "trained_s": body.get("at_s")}


def _accuracy_of(verdict: Figures, *, challenger: bool) -> dict[str, Any] | None:
    """Return the accuracy of one of the two models of a verdict, on rows that decided no promotion if there are any."""
    side = "" if challenger else "champion_"
    free_rows, rows = int(verdict.get("free_rows") or 0), int(verdict.get("rows") or 0)
    return _accuracy(verdict, f"{side}free_accuracy", free_rows, "audit tasks") or _accuracy(
        verdict, f"{side}accuracy", rows, "audit tasks that also decided its promotion, so it may be lower"
    )


def _accuracy(verdict: Figures, name: str, rows: int, sample: str) -> dict[str, Any] | None:
    """Return an accuracy of a verdict with its 95 % interval; None where there is none."""
    value = verdict.get(name)
    if value is None or not rows:
        return None
    figure = make_figure(wilson(round(value * rows), rows), rows, sample, at_s=verdict.get("at_s"))
    return {**figure, "value": value}


def _agreement(body: Figures) -> dict[str, Any] | None:
    if not body:
        return None
    figure = body["coefficient"]
    return {
        "measure": figure["name"],
        **{name: figure[name] for name in ("value", "low", "high")},
        "n": figure["items"],
        "sample": "tasks drawn at random for several people",
        "at_s": body.get("at_s"),
        "percent": body["percent"]["value"],
        "reading": body["reading"],
        "clear": body["clear"],
    }


def _closure(store: Store, project: str, version: str, turn: Figures) -> float | None:
    """Return the share of trainable answers that the serving model has learned from; audit answers do not count."""
    trainable = int(turn.get("trainable", 0))
    if not trainable:
        return None
    return round(min(1.0, len(learned_annotations(store, project, version)) / trainable), 4) if version else 0.0


def _latency(store: Store, project: str, verdicts: Iterable[Figures]) -> float | None:
    """Return the median seconds from an answer to the promotion of the first model that learned from it."""
    promoted = [verdict for verdict in verdicts if verdict.get("promote")]
    waits: list[float] = []
    learned: dict[str, frozenset[int]] = {}
    for body, before in zip(promoted[:_LATENCY_MODELS], [*promoted[1:], {}], strict=False):
        for version in {body["challenger"], before.get("challenger", "")} - {"", *learned}:
            learned[version] = learned_annotations(store, project, version)
        new = learned[body["challenger"]] - learned.get(before.get("challenger", ""), frozenset())
        waits += [body["at_s"] - at_s for at_s in store.votes.list_vote_times(project, new)]
    return round(sorted(waits)[len(waits) // 2], 2) if waits else None


def _latest(store: Store, project: str, kind: str, *, key: str = "") -> dict[str, Any]:
    """Return the body of the newest record of a kind; {} where there is none."""
    found = store.records.get_latest_record(project, kind, key=key)
    return dict(found.body) if found else {}
