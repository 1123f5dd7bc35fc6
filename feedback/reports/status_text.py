"""Telling: a project's status in sentences, for whoever reads it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from feedback.reports.formatting import duration, number, percent, when, within

Figures = Mapping[str, Any]


def told(status: Figures) -> Iterator[tuple[str, str]]:
    """Each line's name and sentence; what is not known yet says when it will be.

    >>> one = {"tasks": 0, "answers": 0, "answered": 0, "people": 0, "skips": 0, "unreadable": 0}
    >>> dict(told({"state": "connected", **one}))["answered"]
    'no task has come yet'
    """
    yield "state", _state(status)
    yield "answered", _answered(status)
    yield "model", _model(status)
    yield "accuracy", _accuracy(status.get("audit_accuracy"))
    yield "agreement", _agreement(status.get("agreement"))
    if verdict := status.get("verdict"):
        yield "last verdict", f"{'promoted' if verdict['promote'] else 'kept out'}: {verdict['reason']}"
    yield "queue", _queue(status.get("window"))
    if status.get("closure_rate") is not None:
        yield "closure", _closure(status)
    if missed := status.get("missed_by_webhooks"):
        changes = "1 change" if missed == 1 else f"{number(missed)} changes"
        yield "webhooks", f"{changes} came by polling, not by webhook; nothing is lost"
    if routed := status.get("routed"):
        yield "routed", ", ".join(f"{name} {number(count)}" for name, count in routed.items())
    if kept_back := status.get("kept_back"):
        yield "kept back", f"{number(kept_back)} tasks, by a rule of the policy"
    if waiting := status.get("signals_waiting"):
        them = "1 waits" if waiting == 1 else f"{number(waiting)} wait"
        yield "signals", f"{them} for a task with their key: hitl signal list --waiting --project {status['project']}"
    for reason in status.get("parked") or ():
        yield "parked", reason
    for reason in status.get("left_out") or ():
        yield "left out", reason
    for note in status.get("notes") or ():
        yield "note", note


def _state(status: Figures) -> str:
    return f"{status['state']}{'; work waits for a worker' if status.get('behind') else ''}"


def _answered(status: Figures) -> str:
    if not status["tasks"]:
        return "no task has come yet"
    if not status["answers"]:
        return f"none of {number(status['tasks'])} tasks yet"
    people = f"{number(status['people'])} {'person' if status['people'] == 1 else 'people'}"
    more = [
        f"{number(status[name])} {word}"
        for name, word in (("skips", "skipped"), ("unreadable", "unreadable and not counted"))
        if status[name]
    ]
    done = f"{number(status['answered'])} of {number(status['tasks'])} tasks"
    answers = f"{number(status['answers'])} {'answer' if status['answers'] == 1 else 'answers'}"
    return ", ".join([f"{done}: {answers} by {people}", *more])


def _model(status: Figures) -> str:
    model = status.get("model")
    if not model:
        waits = status.get("first_model_waits_for")
        return f"none yet: nothing is shown, nothing is faked{f'. It waits for {waits}' if waits else ''}"
    made = f", made {when(model['trained_s'])}" if model.get("trained_s") else ""
    learned = f" on {number(model['rows'])} tasks by {model['recipe']}" if model.get("rows") else ""
    return f"{model['version']}, trained{learned}{made}"


def _accuracy(figure: Figures | None) -> str:
    if not figure:
        return "measured once a model serves, on audit tasks that it never learns from"
    return f"{percent(figure['value'])} ({within(dict(figure))}) on {number(figure['rows'])} audit tasks"


def _agreement(figure: Figures | None) -> str:
    if not figure:
        return "measured once two people have answered the same randomly drawn tasks"
    return f"{percent(figure['percent'])} on {number(figure['items'])} random tasks. {figure['reading']}"


def _queue(window: Figures | None) -> str:
    if not window:
        return "Label Studio's own order, until a turn has written ours"
    return f"{number(window['open'])} of {number(window['rows'])} rows of {window['version']} still open"


def _closure(status: Figures) -> str:
    latency = status.get("loop_latency_s")
    wait = f"; {duration(latency)} from an answer to a model, median" if latency is not None else ""
    return f"{percent(status['closure_rate'])} of what people said has reached the model{wait}"
