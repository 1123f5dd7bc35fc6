"""Pages of review: the cases that wait, one case's whole trail, and where people changed what the model said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Blueprint, Response, request

from feedback.dashboard.permissions import ProjectAccess, may_administer, may_view
from feedback.dashboard.rendering import Refused
from feedback.errors import NotStored
from feedback.reports.case_timeline import story
from feedback.reports.override_report import override_figures
from feedback.reports.review_report import CaseReport, case_report
from feedback.review.case_workflow import is_blind
from feedback.review.state_machine import OPEN_STATES, STATE_MEANINGS
from feedback.store import CaseRow, Store

_MAX_CASE_NUMBER = 2**63 - 1  # number that a database takes
_MAX_CASES = 200  # cases on one page: nobody reads more, and `hitl cases` lists all


class Show(Protocol):
    """Answers with figures, as a page or as JSON."""

    def __call__(self, template: str, figures: Mapping[str, Any], access: ProjectAccess, **more: Any) -> Response:
        """Give the response."""
        ...


def add_review(
    routes: Blueprint,
    store: Store,
    project_access: Callable[[str], ProjectAccess],
    show: Show,
    named: Callable[[int, ProjectAccess, bool], str],
    *,
    clock: Callable[[], float],
) -> None:
    """Add the pages. `project_access` gives who looks at which project; `named` a person as that visitor may know them."""

    @routes.get("/projects/<project>/cases")
    def cases(project: str) -> Response:
        """What waits for review, the most urgent first."""
        access = _require_view(project_access(project))
        found = store.cases.list_cases(project, states=[*sorted(OPEN_STATES), "decided"])
        open_to_them = [case for case in found if not _is_hidden(case, access)]
        counts = [
            {"tier": tier, "state": state, "count": count}
            for (tier, state), count in sorted(store.cases.count_cases(project).items())
        ]
        figures = {
            "project": access.row.id,
            "title": access.row.title,
            "counts": counts,
            "kept": len(found) - len(open_to_them),
            "more": max(0, len(open_to_them) - _MAX_CASES),
            "cases": [_summary_json(case, clock()) for case in open_to_them[:_MAX_CASES]],
        }
        return show("cases", figures, access, meaning=STATE_MEANINGS)

    @routes.get("/projects/<project>/cases/<int:number>")
    def case(project: str, number: int) -> Response:
        """Everything that ever happened to one case."""
        access = _require_view(project_access(project))
        report = _report(store, project, number)
        if _is_hidden(report.case, access):
            raise Refused(
                403,
                "this case is read blind.",
                hint="What was said before is shown once it is decided; an admin or approver sees it now.",
            )
        with_names = may_administer(access.role) and request.args.get("names") == "shown"
        told = story(report, access.policy.reasons, name=lambda person: named(person, access, with_names))
        figures = report.to_json()
        for row in (*figures["trail"], *figures["looks"]):
            person = row.pop("person")
            row["who"] = "" if person is None else named(person, access, with_names)
        figures = {"project": access.row.id, "title": access.row.title, **figures}
        return show("case", figures, access, meaning=STATE_MEANINGS, story=told)

    @routes.get("/projects/<project>/thresholds")
    def thresholds(project: str) -> Response:
        """What each confidence would automate, err and cost, as it was weighed last."""
        access = _require_view(project_access(project))
        kept = store.records.get_latest_record(project, "thresholds")
        figures = kept.body if kept is not None else {}
        return show("thresholds", {"project": access.row.id, "title": access.row.title, **figures}, access)

    @routes.get("/projects/<project>/overrides")
    def overrides(project: str) -> Response:
        """Where people changed what the model said."""
        access = _require_view(project_access(project))
        figures = override_figures(store.overrides.count_overrides(project), access.policy.reasons)
        return show("overrides", {"project": access.row.id, "title": access.row.title, **figures}, access)


def _report(store: Store, project: str, number: int) -> CaseReport:
    """Give one case of a project; what is of another project is as little here as what is not there at all."""
    try:
        report = case_report(store, min(number, _MAX_CASE_NUMBER))
    except NotStored:
        report = None
    if report is None or report.case.project != project:
        raise Refused(404, "there is no such case in this project.")
    return report


def _require_view(access: ProjectAccess) -> ProjectAccess:
    if not may_view(access.role):
        raise Refused(403, "this page is for those whom the policy names.", hint="Your own figures are under People.")
    return access


def _is_hidden(case: CaseRow, access: ProjectAccess) -> bool:
    """Whether a case is kept from a visitor who may be one of its readers: it is read blind, and still open."""
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
        "left_s": None if due_s is None or case.paused_s is not None else round(due_s - now_s, 1),
        "breaches": case.breaches,
        "round": case.round,
    }
