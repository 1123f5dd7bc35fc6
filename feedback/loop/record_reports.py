"""What the "report" job records of a project: agreement, and the figures of each annotator."""

from __future__ import annotations

from feedback.project.snapshot import ProjectSnapshot
from feedback.reports.agreement_report import agreement_figures
from feedback.reports.annotator_report import annotator_figures
from feedback.store import Store

_MIN_NEW_SHARE = 0.01  # of votes: a large project is not measured again after every vote


def record_agreement(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> None:
    """Record agreement under the kind "agreement" when it changed."""
    body = agreement_figures(snapshot)
    if body is None:
        return
    last = store.records.get_latest_record(snapshot.project.id, "agreement")
    if last is None or {name: last.body.get(name) for name in body} != body:
        store.records.create_record(snapshot.project.id, "agreement", body | {"at_s": now_s})


def record_annotators(store: Store, snapshot: ProjectSnapshot, *, now_s: float) -> None:
    """Record the figures of all people under the kind "people" when votes, gold or policy changed."""
    last = store.records.get_latest_record(snapshot.project.id, "people")
    basis = {"votes": len(snapshot.votes), "gold": len(snapshot.gold), "policy": snapshot.policy.hash}
    if last is not None:
        change = abs(len(snapshot.votes) - last.body["votes"])
        same = all(last.body[name] == basis[name] for name in ("gold", "policy"))
        if same and change <= _MIN_NEW_SHARE * last.body["votes"]:
            return
    if snapshot.votes:
        body = basis | {"people": annotator_figures(store, snapshot), "at_s": now_s}
        store.records.create_record(snapshot.project.id, "people", body)
