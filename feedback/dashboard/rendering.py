"""Responses: the same figures as a page for people and as JSON for programs, and error pages."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from markupsafe import Markup, escape

from feedback.dashboard.permissions import Visitor
from feedback.errors import FeedbackError
from feedback.reports import figures as figures_text
from feedback.reports import formatting
from feedback.reports.annotator_report import accuracy_text
from feedback.reports.status_text import answers_text
from ml_backend import number_format
from ml_backend.app.routes import json_response

_log = logging.getLogger(__name__)
_FOLDER = Path(__file__).parent
_CODE = re.compile(r"`([^`]+)`")
_FILTERS: dict[str, Callable[..., Any]] = {
    "short": formatting.short,
    "when": formatting.when,
    "percent": number_format.format_percent,
    "set_percent": number_format.format_set_percent,
    "number": number_format.format_number,
    "count": number_format.format_count,
    "money": number_format.format_money,
    "duration": number_format.format_seconds,
    "coefficient": number_format.format_coefficient,
    # of figures with an interval
    "share": figures_text.share_text,
    "range": figures_text.range_text,
    "points": figures_text.points_text,
    "measure": figures_text.measure_text,
    "bounds": figures_text.bounds_text,
    "sample": figures_text.sample_text,
    "accuracy": accuracy_text,
    "answers": answers_text,
    "pairs_agreeing": figures_text.pairs_text,
}
_STATIC_S = 86_400  # the URL changes with the content


class Refused(FeedbackError):
    """The pages do not serve a request; `status` is the HTTP status."""

    def __init__(self, status: int, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status


def wants_json() -> bool:
    """Return whether a program asks, that is, any client that does not prefer HTML."""
    return request.accept_mimetypes.best_match(("application/json", "text/html")) != "text/html"


def show(
    template: str,
    figures: Mapping[str, Any],
    *,
    visitor: Visitor | None,
    status: int = 200,
    key: str = "",
    **more: Any,
) -> Response:
    """Respond with the figures, as JSON to programs and as a page to people.

    `key` is the form key of the page. `more` is for the template only: charts, permissions, the last action.
    """
    if wants_json():
        response = json_response(figures, status)
    else:
        page = render_template(f"pages/{template}.html", figures=figures, visitor=visitor, key=key, **more)
        response = make_response(page, status)
    response.headers["Vary"] = "Accept, Cookie"
    return response


def refuse(error: FeedbackError) -> Response:
    """Respond to a refused request, or with 503 to an error of the service."""
    if not isinstance(error, Refused):
        _log.error("%s %s: %s", request.method, request.url_rule, error)
    status = error.status if isinstance(error, Refused) else 503
    return show("refused", {"error": str(error), "hint": error.hint}, visitor=None, status=status)


def prepare(
    routes: Blueprint, *, has_problem: Callable[[], bool] = bool, clock: Callable[[], float] = time.time
) -> None:
    """Register template filters, error handlers, the URL of the style sheet, and whether the service has a problem."""
    for name, shown in _FILTERS.items():
        routes.add_app_template_filter(shown, name)
    routes.add_app_template_filter(mark_code, "code")
    routes.add_app_template_filter(lambda at_s: f"{number_format.format_seconds(max(0.0, clock() - at_s))} ago", "ago")
    version = hashlib.sha256(b"".join(file.read_bytes() for file in sorted((_FOLDER / "static").iterdir()))).hexdigest()

    @routes.context_processor
    def on_each_page() -> dict[str, Any]:
        return {
            "static": lambda name: url_for("pages.static", filename=name, v=version[:8]),
            "has_problem": has_problem,
        }

    @routes.after_request
    def cache_static(response: Response) -> Response:
        if request.endpoint == "pages.static" and response.status_code == 200:
            response.headers["Cache-Control"] = f"public, max-age={_STATIC_S}"
        return response

    routes.register_error_handler(FeedbackError, refuse)


def mark_code(text: str) -> Markup:
    """Return a text as HTML, with what stands between backticks as code.

    >>> str(mark_code("run `hitl status` <now>"))
    'run <code>hitl status</code> &lt;now&gt;'
    """
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704  # nosec B704  # escaped before
