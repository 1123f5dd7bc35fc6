"""Actions of the pages: pause, resume, start a turn, retry a parked job; each is recorded with the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, Response, redirect, request, url_for

from feedback.dashboard.authentication import Authenticator
from feedback.dashboard.forms import is_valid_name, read_form
from feedback.dashboard.permissions import Visitor
from feedback.dashboard.rendering import Refused
from feedback.store import Store

DONE = {
    "pause": "Paused: nothing is written to Label Studio until somebody resumes. Answers are still collected.",
    "resume": "Resumed: the next turn writes the queue again.",
    "turn": "A turn is requested; a worker starts it within seconds.",
    "unpark": "Requested again: a worker tries it within seconds.",
    "unparked": "Nothing was parked any more.",
}


def add_actions(
    routes: Blueprint,
    store: Store,
    authenticator: Authenticator,
    require_administrator: Callable[[str], Visitor],
) -> None:
    """Add the routes that change something; `require_administrator` returns the visitor or raises Refused."""

    @routes.post("/projects/<project>/pause")
    def pause(project: str) -> Response:
        """Stop all writes to Label Studio."""
        return act(project, lambda: _pause(store, project, paused=True), "pause")

    @routes.post("/projects/<project>/resume")
    def resume(project: str) -> Response:
        """Allow writes to Label Studio again."""
        return act(project, lambda: _pause(store, project, paused=False), "resume")

    @routes.post("/projects/<project>/turn")
    def turn(project: str) -> Response:
        """Request a turn now."""
        return act(project, lambda: store.jobs.request_job(project, "turn"), "turn")

    @routes.post("/projects/<project>/unpark/<kind>")
    def unpark(project: str, kind: str) -> Response:
        """Retry a parked job now."""
        return act(project, lambda: is_valid_name(kind) and store.jobs.unpark_job(project, kind), "unpark", kind=kind)

    def act(project: str, do: Callable[[], object], name: str, **more: str) -> Response:
        who = require_administrator(project)
        read_form(request, authenticator)
        with store.transaction():
            done = do()
            if done is not False:
                store.records.create_record(project, "action", {"action": name, "person": who.person, **more})
        did = "unparked" if done is False else name
        return redirect(url_for("pages.project", project=project, did=did), 303)  # type: ignore[return-value]


def _pause(store: Store, project: str, *, paused: bool) -> None:
    row = store.projects.get_project(project)
    if row is None:
        raise Refused(404, "there is no such project for you here.")
    store.projects.save_project(replace(row, paused=paused))
    store.jobs.request_job(project, "turn")
