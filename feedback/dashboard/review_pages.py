"""Pages of review: the cases that wait, one case's whole trail, and where people changed what the model said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from flask import Blueprint, Response, request

from feedback.dashboard.permissions import Look, may_look, may_rule
from feedback.dashboard.rendering import Refused
from feedback.errors import NotStored
from feedback.reports.case_timeline import story
from feedback.reports.override_report import override_figures
from feedback.reports.review_report import CaseReport, case_report
from feedback.review.cases import is_blind
from feedback.review.state_machine import LIVE, MEANING
from feedback.store import CaseRow, Store

_BIGGEST = 2**63 - 1  # number that a database takes
_MOST = 200  # cases on one page: nobody reads more, and `hitl cases` lists all


class Show(Protocol):
    """Answers with figures, as a page or as JSON."""

    def __call__(self, template: str, figures: Mapping[str, Any], look: Look, **more: Any) -> Response:
        """Give the response."""
        ...


def add_review(
    routes: Blueprint,
    store: Store,
    look_at: Callable[[str], Look],
    show: Show,
    named: Callable[[int, Look, bool], str],
    *,
    clock: Callable[[], float],
) -> None:
    """Add the pages. `look_at` gives who looks at which project; `named` a person as that visitor may know them."""

    @routes.get("/projects/<project>/cases")
    def cases(project: str) -> Response:
        """What waits for review, the most urgent first."""
        look = _may(look_at(project))
        found = store.cases(project, states=[*sorted(LIVE), "decided"])
        open_to_them = [case for case in found if not _is_kept(case, look)]
        counts = [
            {"tier": tier, "state": state, "count": count}
            for (tier, state), count in sorted(store.case_counts(project).items())
        ]
        figures = {
            "project": look.row.id,
            "title": look.row.title,
            "counts": counts,
            "kept": len(found) - len(open_to_them),
            "more": max(0, len(open_to_them) - _MOST),
            "cases": [_brief(case, clock()) for case in open_to_them[:_MOST]],
        }
        return show("cases", figures, look, meaning=MEANING)

    @routes.get("/projects/<project>/cases/<int:number>")
    def case(project: str, number: int) -> Response:
        """Everything that ever happened to one case."""
        look = _may(look_at(project))
        report = _report(store, project, number)
        if _is_kept(report.case, look):
            raise Refused(
                403,
                "this case is read blind.",
                hint="What was said before is shown once it is decided; an admin or approver sees it now.",
            )
        with_names = may_rule(look.role) and request.args.get("names") == "shown"
        told = story(report, look.policy.reasons, name=lambda person: named(person, look, with_names))
        figures = report.to_json()
        for row in (*figures["trail"], *figures["looks"]):
            person = row.pop("person")
            row["who"] = "" if person is None else named(person, look, with_names)
        figures = {"project": look.row.id, "title": look.row.title, **figures}
        return show("case", figures, look, meaning=MEANING, story=told)

    @routes.get("/projects/<project>/thresholds")
    def thresholds(project: str) -> Response:
        """What each confidence would automate, err and cost, as it was weighed last."""
        look = _may(look_at(project))
        kept = store.latest(project, "thresholds")
        figures = kept.body if kept is not None else {}
        return show("thresholds", {"project": look.row.id, "title": look.row.title, **figures}, look)

    @routes.get("/projects/<project>/overrides")
    def overrides(project: str) -> Response:
        """Where people changed what the model said."""
        look = _may(look_at(project))
        figures = override_figures(store.override_counts(project), look.policy.reasons)
        return show("overrides", {"project": look.row.id, "title": look.row.title, **figures}, look)


def _report(store: Store, project: str, number: int) -> CaseReport:
    """Give one case of a project; what is of another project is as little here as what is not there at all."""
    try:
        report = case_report(store, min(number, _BIGGEST))
    except NotStored:
        report = None
    if report is None or report.case.project != project:
        raise Refused(404, "there is no such case in this project.")
    return report


def _may(look: Look) -> Look:
    if not may_look(look.role):
        raise Refused(403, "this page is for those whom the policy names.", hint="Your own figures are under People.")
    return look


def _is_kept(case: CaseRow, look: Look) -> bool:
    """Whether a case is kept from a visitor who may be one of its readers: it is read blind, and still open."""
    return case.state in LIVE and is_blind(case, look.policy) and not may_rule(look.role)


def _brief(case: CaseRow, now_s: float) -> dict[str, Any]:
    runs = case.state in LIVE and case.due_s is not None and case.due_s != float("inf")
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
