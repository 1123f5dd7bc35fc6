"""Pages of the review: open cases, one case, overrides, and thresholds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, request

from feedback.dashboard.permissions import ProjectAccess, may_administer
from feedback.dashboard.rendering import Refused
from feedback.errors import NotStored
from feedback.reports.case_report import CaseReport, case_report, case_timeline
from feedback.reports.project_status import count_cases
from feedback.reports.review_report import override_figures
from feedback.review.case_state_machine import OPEN_STATES, STATE_MEANINGS, is_blind
from feedback.store import CaseRow, Store

_MAX_CASE_NUMBER = 2**63 - 1  # the largest integer of the database
_MAX_CASES = 200  # on one page; `hitl cases` lists all


def add_review(
    routes: Blueprint,
    store: Store,
    require_viewer: Callable[[str], ProjectAccess],
    show: Callable[..., Response],
    name_of: Callable[[int, ProjectAccess, bool], str],
    *,
    clock: Callable[[], float],
) -> None:
    """Add the pages.

    `require_viewer` returns the visitor's access to a project, `show` responds with figures of a project, and `name_of`
    returns the name or pseudonym of a user id for the visitor.
    """

    @routes.get("/projects/<project>/cases")
    def cases(project: str) -> Response:
        """List open cases, the most urgent first."""
        access = require_viewer(project)
        found = store.cases.list_cases(project, states=[*sorted(OPEN_STATES), "decided"])
        visible = [case for case in found if not _is_hidden(case, access)]
        figures = {
            "counts": count_cases(store, project),
            "hidden": len(found) - len(visible),
            "not_listed": max(0, len(visible) - _MAX_CASES),
            "cases": [_summary_json(case, clock()) for case in visible[:_MAX_CASES]],
        }
        return show("cases", figures, access, meaning=STATE_MEANINGS)

    @routes.get("/projects/<project>/cases/<int:number>")
    def case(project: str, number: int) -> Response:
        """Show the history of one case."""
        access = require_viewer(project)
        report = _report(store, project, number)
        if _is_hidden(report.case, access):
            raise Refused(
                403,
                "this case is reviewed blind.",
                hint="Earlier answers are shown after the decision; admins and approvers see them now.",
            )
        with_names = may_administer(access.role) and request.args.get("names") == "shown"
        timeline = case_timeline(report, access.policy.reasons, name=lambda person: name_of(person, access, with_names))
        figures = report.to_json()
        for row in (*figures["events"], *figures["reviews"]):
            person = row.pop("person")
            row["who"] = "" if person is None else name_of(person, access, with_names)
        return show("case", figures, access, meaning=STATE_MEANINGS, timeline=timeline)

    @routes.get("/projects/<project>/thresholds")
    def thresholds(project: str) -> Response:
        """Show the automation, error and cost of each confidence threshold, as computed last."""
        access = require_viewer(project)
        kept = store.records.get_latest_record(project, "thresholds")
        return show("thresholds", kept.body if kept is not None else {}, access)

    @routes.get("/projects/<project>/overrides")
    def overrides(project: str) -> Response:
        """Show where people changed the model's answers."""
        access = require_viewer(project)
        figures = override_figures(store.overrides.count_overrides(project), access.policy.reasons)
        return show("overrides", figures, access)


def _report(store: Store, project: str, number: int) -> CaseReport:
    """Return the report of a case; Refused if the project has no such case."""
    try:
        report = case_report(store, min(number, _MAX_CASE_NUMBER))
    except NotStored:
        report = None
    if report is None or report.case.project != project:
        raise Refused(404, "there is no such case in this project.")
    return report


def _is_hidden(case: CaseRow, access: ProjectAccess) -> bool:
    """Return whether an open blind case is hidden from a visitor, who may be one of its reviewers."""
    return case.state in OPEN_STATES and is_blind(case, access.policy) and not may_administer(access.role)


def _summary_json(case: CaseRow, now_s: float) -> dict[str, Any]:
    runs = case.state in OPEN_STATES and case.due_s is not None and case.due_s != float("inf")
    due_s = case.due_s if runs else None
    return {
        "case": case.id,
        "task": case.task,
        "tier": case.tier,
        "state": case.state,
        "why": case.why,
        "due_s": due_s,
        "remaining_s": None if due_s is None or case.paused_s is not None else round(due_s - now_s, 1),
        "breaches": case.breaches,
        "round": case.round,
    }
