"""Actions: what an admin or approver may set going from a page; each is recorded with who did it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from flask import Blueprint, Response, redirect, request, url_for

from feedback.dashboard.authentication import Door
from feedback.dashboard.forms import is_plain, read_form
from feedback.dashboard.permissions import Visitor
from feedback.dashboard.rendering import Refused
from feedback.store import Store

DONE = {
    "pause": "Paused: nothing is written to Label Studio until somebody resumes. Answers are still collected.",
    "resume": "Resumed: the queue is renewed at the next turn.",
    "turn": "A turn is asked for; a worker begins it within seconds.",
    "unpark": "Taken up again: a worker tries it within seconds.",
    "unparked": "There was nothing parked any more.",
}


def add_actions(
    routes: Blueprint,
    store: Store,
    door: Door,
    ruler: Callable[[str], Visitor],
    *,
    ring: Callable[[str], None],
) -> None:
    """Add the routes that change something. `ruler` gives the visitor where they may, and refuses where not."""

    @routes.post("/projects/<project>/pause")
    def pause(project: str) -> Response:
        """Stop every write to Label Studio."""
        return act(project, lambda: _pause(store, project, paused=True), "pause")

    @routes.post("/projects/<project>/resume")
    def resume(project: str) -> Response:
        """Go on writing."""
        return act(project, lambda: _pause(store, project, paused=False), "resume")

    @routes.post("/projects/<project>/turn")
    def turn(project: str) -> Response:
        """Ask for a turn now."""
        return act(project, lambda: store.want(project, "turn"), "turn")

    @routes.post("/projects/<project>/unpark/<kind>")
    def unpark(project: str, kind: str) -> Response:
        """Give parked work another try now."""
        return act(project, lambda: is_plain(kind) and store.unpark(project, kind), "unpark", kind=kind)

    def act(project: str, do: Callable[[], object], name: str, **more: str) -> Response:
        who = ruler(project)
        read_form(request, door)
        with store.transaction():
            done = do()
            if done is not False:
                store.record(project, "action", {"action": name, "person": who.person, **more})
        ring(project)
        did = "unparked" if done is False else name
        return redirect(url_for("pages.project", project=project, did=did), 303)  # type: ignore[return-value]


def _pause(store: Store, project: str, *, paused: bool) -> None:
    row = store.project(project)
    if row is None:
        raise Refused(404, "there is no such project for you here.")
    store.save_project(replace(row, paused=paused))
    store.want(project, "turn")
