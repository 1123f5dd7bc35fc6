"""The pages: what the service does, project by project, for whoever may see it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from markupsafe import Markup

from feedback.dashboard.actions import DONE, add_actions
from feedback.dashboard.authentication import AccessSettings, Authenticator
from feedback.dashboard.forms import is_valid_name
from feedback.dashboard.label_studio_login import Accounts
from feedback.dashboard.page_openapi import paths
from feedback.dashboard.permissions import ProjectAccess, Visitor, may_administer, may_view, role_of
from feedback.dashboard.rendering import Refused, prepare, pseudonym, show, wants_json
from feedback.dashboard.review_pages import add_review
from feedback.dashboard.sign_in import add_sign_in
from feedback.errors import PolicyError
from feedback.policy import Policy
from feedback.reports.annotator_report import people_page
from feedback.reports.formatting import percent, when
from feedback.reports.project_overview import project_overview
from feedback.reports.svg_charts import Point, interval_bar, over_time
from feedback.store import ProjectRow, Store
from ml_backend.app import Mount
from ml_backend.app.limits import Limits
from ml_backend.app.routes import UP
from ml_backend.app.security import Attempts, Guard, MemoryAttempts, NotAllowed

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DashboardConfig:
    """What the pages are made from; wiring brings it."""

    store: Store
    policies: Callable[[ProjectRow], Policy]
    access_settings: AccessSettings = field(default_factory=AccessSettings)
    accounts: Accounts | None = None  # None: no Label Studio is set, so nobody can sign in
    attempts: Attempts = field(default_factory=MemoryAttempts)  # failed sign-ins
    label_studio_url: str = ""  # where links lead
    clock: Callable[[], float] = time.time


def pages(config: DashboardConfig) -> Mount:
    """Give the pages as something that the app can mount; they take over `/`."""

    def mount(guard: Guard, _limits: Limits) -> Blueprint:
        routes = Blueprint(
            "pages", __name__, template_folder="templates", static_folder="static", static_url_path="/pages"
        )
        views = _Views(config, Authenticator(config.store, guard, config.access_settings, clock=config.clock))
        prepare(routes, clock=config.clock)
        routes.add_url_rule("/", view_func=views.home, methods=["GET"])
        routes.add_url_rule("/projects/<project>", view_func=views.project, methods=["GET"])
        routes.add_url_rule("/projects/<project>/people", view_func=views.people, methods=["GET"])
        routes.register_error_handler(_MustSignIn, views.redirect_to_sign_in)
        add_sign_in(routes, views.authenticator, config.accounts, config.attempts)
        add_review(routes, config.store, views.project_access, views.show_project, views.name, clock=config.clock)
        add_actions(routes, config.store, views.authenticator, views.require_administrator)
        return routes

    return Mount(mount, paths())


class _Views:
    """The views behind `pages`."""

    def __init__(self, config: DashboardConfig, authenticator: Authenticator) -> None:
        self._config, self._store, self.authenticator = config, config.store, authenticator

    def home(self) -> Response:
        """All projects that the visitor has to do with; programs without credentials hear that we are up."""
        visitor = self.authenticator.visitor(request)
        if visitor is None and wants_json():
            return show("home", UP, visitor=None)
        visitor = visitor or self._known_visitor()
        figures: dict[str, Any] = {**UP, "projects": []}
        for row in self._store.projects.list_projects():
            try:
                access = self._find_access(visitor, row)
            except PolicyError as error:  # who may see it cannot be told; the other projects are there all the same
                _log.warning("%s", error)
                continue
            if access is not None:
                figures["projects"].append(self._summary_json(access))
        return self._show("home", figures, visitor)

    def project(self, project: str) -> Response:
        """One project: model, evidence, queue, and what needs somebody."""
        access = self.project_access(project)
        if not may_view(access.role):
            return redirect(url_for("pages.people", project=project), 303)  # type: ignore[return-value]
        figures = project_overview(self._store, access.row, access.policy)
        figures["blind_by_tier"] = [name for name, tier in access.policy.tiers.items() if tier.blind]
        return self.show_project(
            "project",
            figures,
            access,
            chart=Markup(_chart(figures["accuracy_over_time"])),  # noqa: S704  # nosec B704  # escaped where it is drawn
        )

    def people(self, project: str) -> Response:
        """How people do: all of them for whoever runs the project, else only the visitor's own figures."""
        access = self.project_access(project)
        figures = people_page(self._store, access.row, access.policy)
        everybody = may_administer(access.role)
        if not everybody:
            figures["people"] = [one for one in figures["people"] if one["person"] == access.visitor.person]
        named = everybody and request.args.get("names") == "shown"
        figures["people"] = [self._named(one, access, named=named) for one in figures["people"]]
        figures = {
            "project": access.row.id,
            "title": access.row.title,
            "everybody": everybody,
            "named": named,
            **figures,
        }
        bars = [Markup(_bar(one["accuracy"])) for one in figures["people"]]  # noqa: S704  # nosec B704  # escaped where it is drawn
        return self.show_project("people", figures, access, bars=bars)

    def redirect_to_sign_in(self, _error: Refused) -> Response:
        """Send a browser to sign in, and back to where it wanted to go."""
        onward = request.full_path.rstrip("?") if request.method == "GET" else "/"
        return redirect(url_for("pages.sign_in", next=onward), 303)  # type: ignore[return-value]

    def require_administrator(self, project: str) -> Visitor:
        """Give the visitor where they may change something in a project; Refused where they may not."""
        access = self.project_access(project)
        if not may_administer(access.role):
            raise Refused(403, "only an admin or approver may do this.", hint="[people] of the policy gives roles.")
        return access.visitor

    def name(self, person: int, access: ProjectAccess, named: bool) -> str:  # noqa: FBT001 - who may know names is asked before
        """What a visitor reads for a person: "You", a name where it may be known, else a pseudonym."""
        if person == access.visitor.person:
            return "You"
        if named:
            names = self._config.accounts.names() if self._config.accounts else {}
            return names.get(person, f"user {person}")
        return pseudonym(self._store.secrets.get_or_create_secret("pages"), access.row.id, person)

    def show_project(self, template: str, figures: Mapping[str, Any], access: ProjectAccess, **more: Any) -> Response:
        """Answer with figures of one project."""
        return self._show(template, figures, access.visitor, access=access, **more)

    def project_access(self, project: str) -> ProjectAccess:
        """Give who looks at which project; Refused where there is nothing for them."""
        visitor = self._known_visitor()
        row = self._store.projects.get_project(project) if is_valid_name(project) else None
        access = self._find_access(visitor, row) if row is not None else None
        if access is None:  # the same for what is not there and what is not theirs
            raise Refused(404, "there is no such project for you here.", hint="The first page lists those there are.")
        return look

    def _find_access(self, visitor: Visitor, row: ProjectRow) -> ProjectAccess | None:
        """None for somebody who has no role in a project and never worked there."""
        policy = self._config.policies(row)
        role = role_of(visitor, policy)
        if not may_view(role) and all(
            one.id != visitor.person for one in self._store.annotations.list_annotators(row.id)
        ):
            return None
        return ProjectAccess(visitor, row, policy, role)

    def _known_visitor(self) -> Visitor:
        visitor = self.authenticator.visitor(request)
        if visitor is not None:
            return visitor
        if wants_json():
            raise NotAllowed("who asks?", hint="Send the service's login as HTTP Basic auth, or sign in.")
        raise _MustSignIn(401, "you are not signed in.")

    def _summary_json(self, access: ProjectAccess) -> dict[str, Any]:
        row = access.row
        state = "paused" if row.paused else "connected" if row.connected else "learning from webhooks alone"
        brief: dict[str, Any] = {"project": row.id, "title": row.title, "state": state, "role": access.role}
        if may_view(access.role):
            counts, champion = (
                self._store.projects.count_project(row.id),
                self._store.registry.champion(row.id),
            )
            parked = [
                work for work in self._store.jobs.list_jobs() if work.project == row.id and work.state == "parked"
            ]
            brief |= {"tasks": counts.tasks, "answered": counts.answered, "people": counts.people}
            brief |= {"model": champion.version if champion else None, "parked": len(parked)}
        return brief

    def _named(self, one: Mapping[str, Any], access: ProjectAccess, *, named: bool) -> dict[str, Any]:
        """Put a name in the place of the number, which everybody with Label Studio could look up."""
        figures = {key: value for key, value in one.items() if key != "person"}
        shown = {"person": one["person"]} if named else {}
        return {"name": self.name(one["person"], access, named), **shown, **figures}

    def _show(self, template: str, figures: Mapping[str, Any], visitor: Visitor, **more: Any) -> Response:
        key, _ = self.authenticator.get_form_key(request)
        access = more.get("access")
        return show(
            template,
            figures,
            visitor=visitor,
            key=key if visitor.kind == "person" else "",
            rules=access is not None and may_administer(access.role),
            done=DONE.get(request.args.get("did", ""), ""),
            label_studio=self._config.label_studio_url.rstrip("/"),
            **more,
        )


class _MustSignIn(Refused):
    """A browser that nobody is signed in with; it is sent to the form."""


def _chart(points: Sequence[Mapping[str, Any]]) -> str:
    drawn = [
        Point(
            point["at_s"],
            point["value"],
            point["low"],
            point["high"],
            f"{point['version']}: {percent(point['value'])} on {point['rows']} audit rows, {when(point['at_s'])}",
        )
        for point in points
    ]
    return over_time(drawn, label="Audit accuracy of the serving model over time, with 95 % intervals")


def _bar(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return interval_bar(figure["value"], figure["low"], figure["high"], label=percent(figure["value"]))
