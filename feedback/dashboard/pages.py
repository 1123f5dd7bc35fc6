"""The pages of the service: the list of projects, one project, its people, and the actions of an administrator."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import Markup

from feedback.dashboard.authentication import AccessSettings, Authenticator, is_valid_name
from feedback.dashboard.page_openapi import paths
from feedback.dashboard.permissions import ProjectAccess, Visitor, may_administer, may_view, role_of
from feedback.dashboard.rendering import Refused, prepare, pseudonym, show, wants_json
from feedback.dashboard.review_pages import add_review
from feedback.dashboard.sign_in import LabelStudioAccounts, add_sign_in
from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.reports.annotator_report import people_page
from feedback.reports.formatting import percent, when
from feedback.reports.project_status import project_overview, project_state
from feedback.reports.svg_charts import Point, interval_bar, over_time
from feedback.store import ProjectRow, Store
from ml_backend.app import Mount
from ml_backend.app.limits import Limits
from ml_backend.app.routes import UP
from ml_backend.app.security import Attempts, Guard, MemoryAttempts, NotAllowed

_log = logging.getLogger(__name__)
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
    policies: Callable[[ProjectRow], Policy]
    access_settings: AccessSettings = field(default_factory=AccessSettings)
    accounts: LabelStudioAccounts | None = None  # None: no Label Studio is configured, so nobody can sign in
    attempts: Attempts = field(default_factory=MemoryAttempts)  # failed sign-ins
    label_studio_url: str = ""  # for links
    clock: Callable[[], float] = time.time


def pages(config: DashboardConfig) -> Mount:
    """Return the pages as a mount of the web app; they own `/`."""

    def mount(guard: Guard, _limits: Limits) -> Blueprint:
        routes = Blueprint(
            "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/pages"
        )
        views = _Views(config, Authenticator(config.store, guard, config.access_settings, clock=config.clock))
        prepare(routes, clock=config.clock)
        routes.add_url_rule("/", view_func=views.home, methods=["GET"])
        routes.add_url_rule("/projects/<project>", view_func=views.project, methods=["GET"])
        routes.add_url_rule("/projects/<project>/people", view_func=views.people, methods=["GET"])
        for action in ("pause", "resume", "turn", "unpark/<kind>"):
            name = action.partition("/")[0]
            rule = f"/projects/<project>/{action}"
            routes.add_url_rule(rule, name, views.act, methods=["POST"], defaults={"action": name})
        routes.register_error_handler(_MustSignIn, views.redirect_to_sign_in)
        add_sign_in(routes, views.authenticator, config.accounts, config.attempts)
        add_review(routes, config.store, views.require_viewer, views.show_project, views.name, clock=config.clock)
        return routes

    return Mount(mount, paths())


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
        figures: dict[str, Any] = {**UP, "projects": []}
        for row in self._store.projects.list_projects():
            try:
                access = self._find_access(visitor, row)
            except PolicyError as error:  # without a policy nobody has a role; other projects are still listed
                _log.warning("%s", error)
                continue
            if access is not None:
                figures["projects"].append(self._summary_json(access))
        return self._show("home", figures, visitor)

    def project(self, project: str) -> Response:
        """Show one project: model, evidence, queue, and problems."""
        access = self.project_access(project)
        if not may_view(access.role):
            return redirect(url_for("pages.people", project=project), 303)  # type: ignore[return-value]
        figures = project_overview(self._store, access.row, access.policy)
        figures["blind_by_tier"] = [name for name, tier in access.policy.tiers.items() if tier.blind]
        return self.show_project(
            "project",
            figures,
            access,
            chart=Markup(_accuracy_chart(figures["accuracy_over_time"])),  # noqa: S704  # nosec B704  # escaped where it is drawn
        )

    def people(self, project: str) -> Response:
        """Show everybody's figures to admins and approvers, and their own to all others."""
        access = self.project_access(project)
        figures = people_page(self._store, access.row, access.policy)
        everybody = may_administer(access.role)
        if not everybody:
            figures["people"] = [row for row in figures["people"] if row["person"] == access.visitor.person]
        named = everybody and request.args.get("names") == "shown"
        figures["people"] = [self._with_name(row, access, named=named) for row in figures["people"]]
        figures |= {"everybody": everybody, "named": named}
        bars = [Markup(_accuracy_bar(row["accuracy"])) for row in figures["people"]]  # noqa: S704  # nosec B704  # escaped where it is drawn
        return self.show_project("people", figures, access, bars=bars)

    def act(self, project: str, action: str, **more: str) -> Response:
        """Pause, resume, start a turn or retry a parked job for an admin or approver; record who did it."""
        access = self.project_access(project)
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

    def require_viewer(self, project: str) -> ProjectAccess:
        """Return the access of a visitor who may see the figures of a project, else raise Refused."""
        access = self.project_access(project)
        if not may_view(access.role):
            hint = "See your own figures under People."
            raise Refused(403, "this page is for people with a role in the policy.", hint=hint)
        return access

    def name(self, person: int, access: ProjectAccess, named: bool) -> str:  # noqa: FBT001 - the caller checks who may see names
        """Return what a visitor reads for a person: "You", the name if `named`, else a pseudonym."""
        if person == access.visitor.person:
            return "You"
        if named:
            names = self._config.accounts.names() if self._config.accounts else {}
            return names.get(person, f"user {person}")
        return pseudonym(self._store.secrets.get_or_create_secret("pages"), access.row.id, person)

    def show_project(self, template: str, figures: Mapping[str, Any], access: ProjectAccess, **more: Any) -> Response:
        """Respond with figures of one project, under its number and title."""
        named = {"project": access.row.id, "title": access.row.title, **figures}
        return self._show(template, named, access.visitor, access=access, **more)

    def project_access(self, project: str) -> ProjectAccess:
        """Return the access of the visitor to a project, or raise Refused."""
        visitor = self._known_visitor()
        row = self._store.projects.get_project(project) if is_valid_name(project) else None
        access = self._find_access(visitor, row) if row is not None else None
        if access is None:  # one answer for both, so that nobody can probe for projects
            raise Refused(404, "no such project, or you have no access.", hint="The first page lists your projects.")
        return access

    def _find_access(self, visitor: Visitor, row: ProjectRow) -> ProjectAccess | None:
        """Return None for a visitor who has no role in a project and never worked there."""
        policy = self._config.policies(row)
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

    def _summary_json(self, access: ProjectAccess) -> dict[str, Any]:
        row = access.row
        summary = {"project": row.id, "title": row.title, "state": project_state(row), "role": access.role}
        if not may_view(access.role):
            return summary
        counts, champion = self._store.projects.count_project(row.id), self._store.registry.champion(row.id)
        parked = sum((job.project, job.state) == (row.id, "parked") for job in self._store.jobs.list_jobs())
        counted = {"tasks": counts.tasks, "answered": counts.answered, "people": counts.people}
        return summary | counted | {"model": champion.version if champion else None, "parked": parked}

    def _with_name(self, row: Mapping[str, Any], access: ProjectAccess, *, named: bool) -> dict[str, Any]:
        """Replace the user id by a name: with the id, every user of Label Studio could look the person up."""
        figures = {key: value for key, value in row.items() if key != "person"}
        shown = {"person": row["person"]} if named else {}
        return {"name": self.name(row["person"], access, named), **shown, **figures}

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
            **more,
        )


class _MustSignIn(Refused):
    """Nobody is signed in with this browser; it is redirected to the sign-in page."""


def _accuracy_chart(points: Sequence[Mapping[str, Any]]) -> str:
    drawing = [
        Point(
            point["at_s"],
            point["value"],
            point["low"],
            point["high"],
            f"{point['version']}: {percent(point['value'])} on {point['rows']} audit rows, {when(point['at_s'])}",
        )
        for point in points
    ]
    return over_time(drawing, label="Audit accuracy of the serving model over time, with 95 % intervals")


def _accuracy_bar(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return interval_bar(figure["value"], figure["low"], figure["high"], label=percent(figure["value"]))
