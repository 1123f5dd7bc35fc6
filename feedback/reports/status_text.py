"""The status of a project in sentences, as `hitl status` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from feedback.reports.figures import figure_text, pairs_text
from feedback.reports.formatting import person_name, when
from feedback.reports.imported_answers import describe_imports
from feedback.reports.uncounted_answers import uncounted_sentences
from ml_backend.number_format import format_count, format_counted, format_percent, format_seconds

Figures = Mapping[str, Any]  # what `project_status` returns, or a part of it
_NO_NAMES: Mapping[int, str] = {}


def status_lines(status: Figures, names: Mapping[int, str] = _NO_NAMES) -> Iterator[tuple[str, str]]:
    """Return the name and the sentence of each line that `hitl status` prints; `names` are those of people by user id.

    >>> counts = {"tasks": 0, "answers": 0, "answered": 0, "people": 0, "skips": 0, "unreadable": 0}
    >>> dict(status_lines({"state": "connected", **counts}))["answered"]
    'no task has come yet'
    """
    yield "state", f"{status['state']}{'; work is under way or waits for a worker' if status.get('behind') else ''}"
    yield "answered", _answered_line(status)
    yield "model", _model_line(status)
    yield "accuracy", _accuracy_line(status.get("audit_accuracy"), serves=bool(status.get("model")))
    yield "agreement", _agreement_line(status.get("agreement"))
    if verdict := status.get("verdict"):
        yield "last verdict", f"{'promoted' if verdict['promote'] else 'kept out'}: {verdict['reason']}"
    yield "queue", _queue_line(status)
    if status.get("closure_rate") is not None:
        yield "closure", _closure_line(status)
    if found := status.get("missed_by_webhooks"):
        yield (
            "webhooks",
            f"{format_counted(found, 'change', 'changes')} found by polling, not by webhook; nothing is lost",
        )
    yield from _uncounted_lines(status, names)
    if routed := status.get("routed"):
        yield "routed", ", ".join(f"{name} {format_count(count)}" for name, count in routed.items())
    if kept_back := status.get("kept_back"):
        yield "kept back", f"{format_counted(kept_back, 'task', 'tasks')}, by a rule of the policy"
    if waiting := status.get("signals_waiting"):
        see = f"hitl signal list {status['project']} --waiting"
        yield "signals", f"{format_counted(waiting, 'waits', 'wait')} for a task with their key: {see}"
    for name, key in (("parked", "parked"), ("left out", "left_out"), ("note", "notes")):
        yield from ((name, reason) for reason in status.get(key) or ())


def answers_text(status: Figures) -> str:
    """Return how many answers came of how many people, how many of them do not count, and how many tasks were skipped.

    >>> answers_text({"answers": 3, "people": 2, "answers_not_counted": 1, "skips": 4, "unreadable": 0})
    '3 answers by 2 people, of which 1 does not count, 4 skipped'
    """
    answers = format_counted(status["answers"], "answer", "answers")
    people = format_counted(status["people"], "person", "people")
    if uncounted := status.get("answers_not_counted"):
        people += f", of which {format_counted(uncounted, 'does', 'do')} not count"
    return ", ".join([f"{answers} by {people}", *_skips_and_unreadable(status)])


def _uncounted_lines(status: Figures, names: Mapping[int, str]) -> Iterator[tuple[str, str]]:
    """Yield what Label Studio has and does not count here."""
    if imported := status.get("imported"):
        yield "imported", describe_imports(imported)
    if drafts := status.get("drafts"):
        yield "drafts", f"{format_counted(drafts, 'task has one', 'tasks have one')} that nobody has submitted"
    if sentence := status.get("not_learned"):
        yield "not learned", sentence
    for sentence in uncounted_sentences(status.get("not_counted") or (), name=partial(person_name, names)):
        yield "not counted", sentence
    if empty := status.get("empty_answers"):
        kept = "with nothing marked; they are kept, and no model learns from them"
        yield "empty answers", f"{format_count(empty)}, {kept}"


def _answered_line(status: Figures) -> str:
    if not status["tasks"]:
        return "no task has come yet"
    tasks = format_counted(status["tasks"], "task", "tasks")
    if not status["answers"]:
        return ", ".join([f"none of {tasks} yet", *_skips_and_unreadable(status)])
    return f"{format_count(status['answered'])} of {tasks}: {answers_text(status)}"


def _skips_and_unreadable(status: Figures) -> list[str]:
    named = (("skips", "skipped"), ("unreadable", "unreadable and not counted"))
    return [f"{format_count(status[name])} {word}" for name, word in named if status[name]]


def _model_line(status: Figures) -> str:
    model = status.get("model")
    if not model:
        waits = status.get("first_model_waits_for")
        imported = (status.get("window") or {}).get("imported")
        shown = "people see the imported predictions" if imported else "no prediction is shown"
        return f"none yet, so {shown}{f': {waits}' if waits else ''}"
    trained_at = f", made {when(model['trained_s'])}" if model.get("trained_s") else ""
    imported = f", {format_count(model['imported'])} of them imported," if model.get("imported") else ""
    learned = (
        f" on {format_counted(model['rows'], 'task', 'tasks')}{imported} by {model['recipe']}"
        if model.get("rows")
        else ""
    )
    return f"{model['version']}, trained{learned}{trained_at}"


def _accuracy_line(figure: Figures | None, *, serves: bool) -> str:
    if not figure:
        then = "when the next model is judged" if serves else "once a model serves"
        return f"measured {then}, on audit tasks that it never learns from"
    return figure_text(figure)


def _agreement_line(figure: Figures | None) -> str:
    if not figure:
        return "measured once two people have answered the same randomly drawn tasks"
    return f"{figure['reading']} {pairs_text(figure)}"


def _queue_line(status: Figures) -> str:
    window = status.get("window")
    if not window:
        return "Label Studio's own order" + (" until tasks are open" if status.get("state") == "connected" else "")
    return f"{format_count(window['open'])} of {format_count(window['rows'])} rows of {window['version']} still open"


def _closure_line(status: Figures) -> str:
    latency = status.get("loop_latency_s")
    wait = f"; {format_seconds(latency)} from an answer to a model, median" if latency is not None else ""
    return f"{format_percent(status['closure_rate'])} of the answers that may train have reached the model{wait}"
