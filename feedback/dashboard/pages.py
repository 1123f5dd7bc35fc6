"""The pages of the service: projects, people, cases, overrides and thresholds, and the actions of an administrator."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import Markup

from feedback.dashboard.authentication import AccessSettings, Authenticator, is_valid_name
from feedback.dashboard.page_openapi import paths
from feedback.dashboard.permissions import ProjectAccess, Visitor, may_administer, may_view, role_of
from feedback.dashboard.rendering import Refused, prepare, show, wants_json
from feedback.dashboard.sign_in import LabelStudioAccounts, add_sign_in
from feedback.errors import NotStored, PolicyError
from feedback.reports.annotator_report import people_page
from feedback.reports.case_report import (
    CaseReport,
    UnknownState,
    case_report,
    case_summary,
    case_timeline,
    is_read_blind,
    list_case_page,
)
from feedback.reports.figures import figure_text, range_text
from feedback.reports.formatting import person_name, pseudonym
from feedback.reports.imported_answers import describe_imports
from feedback.reports.project_status import count_cases, project_overview, project_state
from feedback.reports.review_report import measure_overrides
from feedback.reports.svg_charts import Point, interval_bar, over_time
from feedback.reports.uncounted_answers import uncounted_sentences
from feedback.review.case_state_machine import STATE_MEANINGS
from feedback.store import CaseRow, ProjectRow, Store
from ml_backend.app import Mount
from ml_backend.app.limits import Limits
from ml_backend.app.routes import UP
from ml_backend.app.security import Attempts, Guard, MemoryAttempts, NotAllowed
from ml_backend.labelstudio.doctor import Finding

_log = logging.getLogger(__name__)
_MAX_NUMBER = 2**63 - 1  # the largest integer of the database
_DONE = {
    "pause": "Paused: nothing is written to Label Studio until somebody resumes. Answers are still collected.",
    "resume": "Resumed: the next turn writes the queue again.",
    "turn": "A turn is requested; a worker starts it within seconds.",
    "unpark": "Requested again: a worker tries it within seconds.",
    "unparked": "Nothing was parked any more.",
}


@dataclass(frozen=True, slots=True)
class DashboardConfig:
    """What the pages need; `feedback.app` fills it."""

    store: Store
    access_settings: AccessSettings = field(default_factory=AccessSettings)
    accounts: LabelStudioAccounts | None = None  # None: no Label Studio is configured, so nobody can sign in
    attempts: Attempts = field(default_factory=MemoryAttempts)  # failed sign-ins
    label_studio_url: str = ""  # for links
    problems: Callable[[], Sequence[Finding]] = tuple  # of the service now
    clock: Callable[[], float] = time.time


def pages(config: DashboardConfig) -> Mount:
    """Return the pages as a mount of the web app; they own `/`."""

    def mount(guard: Guard, _limits: Limits) -> Blueprint:
        routes = Blueprint(
            "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/pages"
        )
        views = _Views(config, Authenticator(config.store, guard, config.access_settings, clock=config.clock))
        prepare(routes, has_problem=lambda: bool(_errors(config)), clock=config.clock)
        routes.add_url_rule("/", view_func=views.home, methods=["GET"])
        routes.add_url_rule("/projects/<project>", view_func=views.project, methods=["GET"])
        for view in (views.people, views.cases, views.overrides, views.thresholds):
            routes.add_url_rule(f"/projects/<project>/{view.__name__}", view_func=view, methods=["GET"])
        routes.add_url_rule("/projects/<project>/cases/<int:number>", view_func=views.case, methods=["GET"])
        for action in ("pause", "resume", "turn", "unpark/<kind>"):
            name = action.partition("/")[0]
            rule = f"/projects/<project>/{action}"
            routes.add_url_rule(rule, name, views.act, methods=["POST"], defaults={"action": name})
        routes.register_error_handler(_MustSignIn, views.redirect_to_sign_in)
        add_sign_in(routes, views.authenticator, config.accounts, config.attempts)
        return routes

    return Mount(mount, paths(), has_sessions=True)


class _Views:
    """The views behind `pages`."""

    def __init__(self, config: DashboardConfig, authenticator: Authenticator) -> None:
        self._config, self._store, self.authenticator = config, config.store, authenticator

    def home(self) -> Response:
        """Show all projects that the visitor may see; programs without credentials learn only that we are up."""
        visitor = self.authenticator.visitor(request)
        if visitor is None and wants_json():
            return show("home", UP, visitor=None)
        visitor = visitor or self._known_visitor()
        figures: dict[str, Any] = {**UP, "projects": [], "problems": self._visible_problems(visitor)}
        for row in self._store.projects.list_projects():
            try:
                access = self._find_access(visitor, row)
            except PolicyError as error:  # without a policy nobody has a role; other projects are still listed
                _log.warning("%s", error)
                continue
            if access is not None:
                figures["projects"].append(self._project_json(access))
        return self._show("home", figures, visitor)

    def project(self, project: str) -> Response:
        """Show one project: model, evidence, queue, and problems."""
        access = self._project_access(project)
        if not may_view(access.role):
            return redirect(url_for("pages.people", project=project), 303)  # type: ignore[return-value]
        figures = project_overview(self._store, access.row, access.policy)
        visible = [self._visible_to(row, access) for row in figures["not_counted"]]
        figures["not_counted"] = [self._with_name(row, access) for row in visible]
        figures["blind_by_tier"] = [name for name, tier in access.policy.tiers.items() if tier.blind]
        return self._show_project(
            "project",
            figures,
            access,
            not_counted=list(uncounted_sentences(visible, name=lambda person: self._name(person, access))),
            imported=describe_imports(figures["imported"]) if figures["imported"] else "",
            chart=Markup(_accuracy_chart(figures["accuracy_over_time"])),  # noqa: S704  # nosec B704  # escaped where it is drawn
        )

    def people(self, project: str) -> Response:
        """Show everybody's figures to admins and approvers, and their own to all others."""
        access = self._project_access(project)
        figures = people_page(self._store, access.row)
        everybody = may_administer(access.role)
        if not everybody:
            figures["people"] = [row for row in figures["people"] if row["person"] == access.visitor.person]
        figures["people"] = [self._with_name(row, access) for row in figures["people"]]
        figures |= {"everybody": everybody, "named": _shows_names(access)}
        bars = [Markup(_accuracy_bar(row["accuracy"])) for row in figures["people"]]  # noqa: S704  # nosec B704  # escaped where it is drawn
        return self._show_project("people", figures, access, bars=bars)

    def cases(self, project: str) -> Response:
        """List the cases that the query chooses, the most urgent first; by default those that wait for a decision."""
        access, given = self._require_viewer(project), request.args
        person = given.get("person", type=int)
        if (given.get("person") and person is None) or not is_valid_name(given.get("tier") or "L1"):
            raise Refused(400, "this is no list of cases.", hint="`person` is a user id, `tier` the name of a tier.")
        person = person and max(-1, min(person, _MAX_NUMBER))
        if person not in (None, access.visitor.person) and not may_administer(access.role):
            raise Refused(403, "only admins and approvers may list the cases of another person.")
        wanted: dict[str, Any] = {name: given.get(name, "") for name in ("state", "tier")}
        wanted |= {name: given.get(name) == "1" for name in ("late", "clocked")}
        now_s = self._config.clock()
        page = given.get("page", 1, type=int)
        try:
            found = list_case_page(
                self._store,
                access.row,
                **wanted,
                person=person,
                page=page,
                hides_blind=not may_administer(access.role),
                now_s=now_s,
            )
        except UnknownState as error:
            raise Refused(400, str(error), hint=error.hint) from None
        label_studio = self._config.label_studio_url
        figures = {
            "counts": count_cases(self._store, access.row),
            **{name: getattr(found, name) for name in ("total", "page", "pages", "hidden", "clocked", "clocked_late")},
            "filter": {**wanted, "person": person},
            "cases": [case_summary(case, label_studio=label_studio, now_s=now_s) for case in found.cases],
        }
        more = {"tiers": list(access.policy.tiers), "own": access.visitor.person, "meaning": STATE_MEANINGS}
        return self._show_project("cases", figures, access, **more)

    def case(self, project: str, number: int) -> Response:
        """Show the history of one case."""
        access = self._require_viewer(project)
        report = _report(self._store, project, number)
        if _is_hidden(report.case, access):
            raise Refused(
                403,
                "this case is reviewed blind.",
                hint="Earlier answers are shown after the decision; admins and approvers see them now.",
            )
        timeline = case_timeline(report, access.policy.reasons, name=lambda person: self._name(person, access))
        figures = report.to_json()
        for row in (*figures["events"], *figures["reviews"]):
            person = row.pop("person")
            row["who"] = "" if person is None else self._name(person, access)
        return self._show_project("case", figures, access, meaning=STATE_MEANINGS, timeline=timeline)

    def thresholds(self, project: str) -> Response:
        """Show the automation, error and cost of each confidence threshold, as computed last."""
        access = self._require_viewer(project)
        kept = self._store.records.get_latest_record(project, "thresholds")
        return self._show_project("thresholds", kept.body if kept is not None else {}, access)

    def overrides(self, project: str) -> Response:
        """Show where people changed the model's answers."""
        access = self._require_viewer(project)
        figures = measure_overrides(self._store, access.row)
        return self._show_project("overrides", figures, access)

    def act(self, project: str, action: str, **more: str) -> Response:
        """Pause, resume, start a turn or retry a parked job for an admin or approver; record who did it."""
        access = self._project_access(project)
        if not may_administer(access.role):
            raise Refused(403, "only an admin or approver may do this.", hint="[people] of the policy gives roles.")
        self.authenticator.read_form(request)
        with self._store.transaction():
            is_done = self._do(access.row.id, action, **more)
            if is_done:
                body = {"action": action, "person": access.visitor.person, **more}
                self._store.records.create_record(project, "action", body)
        return redirect(url_for("pages.project", project=project, did=action if is_done else "unparked"), 303)  # type: ignore[return-value]

    def _do(self, project: str, action: str, kind: str = "") -> bool:
        """Do an action; return False where no such job is parked."""
        if action == "unpark":
            return is_valid_name(kind) and self._store.jobs.unpark_job(project, kind)
        row = self._store.projects.get_project(project)
        if row is not None and action in ("pause", "resume"):
            self._store.projects.save_project(replace(row, paused=action == "pause"))
        self._store.jobs.request_job(project, "turn")
        return True

    def redirect_to_sign_in(self, _error: Refused) -> Response:
        """Send a browser to the sign-in page, and afterwards back to the page it asked for."""
        onward = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return redirect(url_for("pages.sign_in", next=onward), 303)  # type: ignore[return-value]

    def _require_viewer(self, project: str) -> ProjectAccess:
        """Return the access of a visitor who may see the figures of a project, else raise Refused."""
        access = self._project_access(project)
        if not may_view(access.role):
            hint = "See your own figures under People."
            raise Refused(403, "this page is for people with a role in the policy.", hint=hint)
        return access

    def _name(self, person: int, access: ProjectAccess) -> str:
        """Return what a visitor reads for a person: "You", the name if they may see it and asked, else a pseudonym."""
        if person == access.visitor.person:
            return "You"
        if _shows_names(access):
            names = self._config.accounts.names() if self._config.accounts else {}
            return person_name(names, person)
        return pseudonym(self._store.secrets.get_or_create_secret("pseudonyms"), access.row.id, person)

    def _show_project(self, template: str, figures: Mapping[str, Any], access: ProjectAccess, **more: Any) -> Response:
        """Respond with figures of one project, under its number and title."""
        named = {"project": access.row.id, "title": access.row.title, **figures}
        return self._show(template, named, access.visitor, access=access, **more)

    def _project_access(self, project: str) -> ProjectAccess:
        """Return the access of the visitor to a project, or raise Refused."""
        visitor = self._known_visitor()
        row = self._store.projects.get_project(project) if is_valid_name(project) else None
        access = self._find_access(visitor, row) if row is not None else None
        if access is None:  # one answer for both, so that nobody can probe for projects
            raise Refused(404, "no such project, or you have no access.", hint="The first page lists your projects.")
        return access

    def _find_access(self, visitor: Visitor, row: ProjectRow) -> ProjectAccess | None:
        """Return None for a visitor who has no role in a project and never worked there."""
        policy = row.policy
        role = role_of(visitor, policy)
        if not may_view(role) and all(
            annotator.id != visitor.person for annotator in self._store.annotations.list_annotators(row.id)
        ):
            return None
        return ProjectAccess(visitor, row, policy, role)

    def _known_visitor(self) -> Visitor:
        visitor = self.authenticator.visitor(request)
        if visitor is not None:
            return visitor
        if wants_json():
            raise NotAllowed("credentials are missing.", hint="Send the service login as HTTP Basic auth, or sign in.")
        raise _MustSignIn(401, "you are not signed in.")

    def _project_json(self, access: ProjectAccess) -> dict[str, Any]:
        row = access.row
        summary = {"project": row.id, "title": row.title, "state": project_state(row), "role": access.role}
        if not may_view(access.role):
            return summary
        counts, champion = self._store.projects.count_project(row.id), self._store.registry.champion(row.id)
        parked = sum((job.project, job.state) == (row.id, "parked") for job in self._store.jobs.list_jobs())
        counted = {"tasks": counts.tasks, "answered": counts.answered, "people": counts.people}
        return summary | counted | {"model": champion.version if champion else None, "parked": parked}

    @staticmethod
    def _visible_to(row: Mapping[str, Any], access: ProjectAccess) -> dict[str, Any]:
        """Return a figure of a person; without the person for visitors who may see their own figures alone."""
        is_visible = may_administer(access.role) or row["person"] == access.visitor.person
        return {**row, "person": row["person"] if is_visible else None}

    def _with_name(self, row: Mapping[str, Any], access: ProjectAccess) -> dict[str, Any]:
        """Replace the user id by a name: with the id, every user of Label Studio could look the person up."""
        figures = {key: value for key, value in row.items() if key != "person"}
        if row["person"] is None:
            return {"name": "", **figures}
        shown = {"person": row["person"]} if _shows_names(access) else {}
        return {"name": self._name(row["person"], access), **shown, **figures}

    def _visible_problems(self, visitor: Visitor) -> list[Finding]:
        """Return what is wrong with the service, for everybody who may view some project; others need not know why."""
        if not (errors := _errors(self._config)):
            return []
        viewed = set()
        for row in self._store.projects.list_projects():
            with suppress(PolicyError):
                access = self._find_access(visitor, row)
                viewed |= {row.id} if access is not None and may_view(access.role) else set()
        if not viewed and visitor.kind == "person" and not visitor.owner:
            return []
        return [finding for finding in errors if getattr(finding, "project", "") in {"", *viewed}]

    def _show(self, template: str, figures: Mapping[str, Any], visitor: Visitor, **more: Any) -> Response:
        key, _ = self.authenticator.get_form_key(request)
        access = more.get("access")
        return show(
            template,
            figures,
            visitor=visitor,
            key=key if visitor.kind == "person" else "",
            may_administer=access is not None and may_administer(access.role),
            done=_DONE.get(request.args.get("did", ""), ""),
            label_studio=self._config.label_studio_url.rstrip("/"),
            problems=self._visible_problems(visitor),
            **more,
        )


class _MustSignIn(Refused):
    """Nobody is signed in with this browser; it is redirected to the sign-in page."""


def _errors(config: DashboardConfig) -> list[Finding]:
    return [finding for finding in config.problems() if finding.severity == "error"]


def _shows_names(access: ProjectAccess) -> bool:
    return may_administer(access.role) and request.args.get("names") == "shown"


def _report(store: Store, project: str, number: int) -> CaseReport:
    """Return the report of a case; Refused if the project has no such case."""
    try:
        report = case_report(store, min(number, _MAX_NUMBER))
    except NotStored:
        report = None
    if report is None or report.case.project != project:
        raise Refused(404, "there is no such case in this project.")
    return report


def _is_hidden(case: CaseRow, access: ProjectAccess) -> bool:
    """Return whether an open blind case is hidden from a visitor, who may be one of its reviewers."""
    return is_read_blind(case, access.policy) and not may_administer(access.role)


def _accuracy_chart(points: Sequence[Mapping[str, Any]]) -> str:
    drawing = []
    for point in points:
        text = f"{point['version']}: {figure_text(point)}"
        drawing.append(Point(point["at_s"], point["value"], point["low"], point["high"], text))
    return over_time(drawing, label="Audit accuracy of the serving model over time, with 95 % intervals")


def _accuracy_bar(figure: dict[str, Any] | None) -> str:
    if figure is None:
        return ""
    return interval_bar(figure["value"], figure["low"], figure["high"], label=range_text(figure))
