"""hitl why: the routing decision of a task, its replay, and what people did with the task."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.app.bootstrap import list_names, load_settings, make_model_factory, opened_store
from feedback.app.project_names import find_project_of
from feedback.cli.arguments import AsJson, Task, project_argument
from feedback.cli.terminal import echo, print_json
from ml_backend.number_format import format_percent

if TYPE_CHECKING:
    from feedback.routing.router import DecisionExplanation


def why(
    project: Annotated[str, project_argument("Default: the project that has the task.")],
    task: Task,
    every: Annotated[bool, typer.Option("--all", help="Show all decisions, not only the current one.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a task is, where it was routed and why, with a replay, and what people did with it."""
    from feedback.reports.case_report import case_report, describe_case, hide_blind_answers, is_read_blind
    from feedback.reports.formatting import person_name
    from feedback.reports.task_place import describe_place
    from feedback.reports.uncounted_answers import list_uncounted
    from feedback.routing.router import explain_decision

    settings = load_settings()
    with opened_store(settings) as store:
        row = find_project_of(store, project, task)
        decisions = store.decisions.list_decisions(row.id, task=task)[: None if every else 1]
        load = make_model_factory(settings, store).load
        explained = [explain_decision(store, row.id, decision, load=load) for decision in decisions]
        signals = store.signals.list_signals(row.id, task=task)
        known = store.tasks.get_task(row.id, task) is not None
        reports = [case_report(store, case.id) for case in store.cases.list_cases(row.id, tasks=[task])]
        cases = [hide_blind_answers(report, row.policy) for report in reports]
        is_hidden = any(is_read_blind(report.case, row.policy) for report in reports)
        explained = [_hide_inputs(entry) for entry in explained] if is_hidden else explained
        reasons, place = row.policy.reasons, describe_place(store, row, task)
        uncounted = list_uncounted(store, row, task)
        name = partial(person_name, {} if as_json else list_names(settings, store))
    if as_json:
        rules = [entry.rule.model_dump(mode="json") if entry.rule else None for entry in explained]
        made = [asdict(entry) | {"rule": rule} for entry, rule in zip(explained, rules, strict=True)]
        found = {"place": place, "decisions": made, "signals": signals, "not_counted": uncounted}
        print_json(found | {"cases": [report.to_json() for report in cases]})
    else:
        echo(f"Task {task}: {place}.")
        if not explained and not cases:
            reason = "rules decide about open tasks only, and no turn has found it open since the policy has them"
            reason = reason if row.policy.routing else "the policy has no rules"
            reason = reason if known else "the task is unknown"
            echo(f"Nothing was decided about task {task}: {reason}.")
        for entry in explained:
            _print(entry, is_hidden=is_hidden)
        for signal in signals:
            source = signal.source or "unknown"
            echo(f"Signal {signal.name} = {signal.value!r} at {_time(signal.at_s)} from {source}")
        for answer in uncounted:
            echo(f"Answer {answer.annotation} of {name(answer.person)} is not counted: {answer.why}")
        for heading, *lines in (describe_case(report, reasons, name) for report in cases):
            for line in (heading, *(f"  {line}" for line in lines)):
                echo(line)
    if any(entry.same is False for entry in explained):
        raise SystemExit(1)


def _hide_inputs(entry: DecisionExplanation) -> DecisionExplanation:
    """Return a decision without what the model and earlier people said: the reader may have to decide the case."""
    return replace(entry, decision=replace(entry.decision, inputs={}), clauses=(), prediction={})


def _print(entry: DecisionExplanation, *, is_hidden: bool) -> None:
    decided = entry.decision.standing
    echo(f"Task {entry.decision.task}, {_time(entry.decision.at_s)}: goes to {decided.outcome}")
    echo(f"  rule {decided.rule} of policy {decided.policy}, model {decided.model or 'none yet'}")
    if entry.rule is not None and entry.rule.reason:
        echo(f"  because {entry.rule.reason}")
    if entry.prediction:
        echo(f"  {_prediction_text(entry)}")
    if decided.refused:
        echo(f"  not as the rule says: {decided.refused}")
    options = {"priority": decided.priority, "queue": decided.queue, "people": decided.overlap}
    settings = [f"{name} {value}" for name, value in options.items() if value not in (None, "normal", "default")]
    if settings:
        echo(f"  {', '.join(settings)}")
    if is_hidden:
        echo("  what the rules saw is hidden until the blind case is decided")
    for rule, clauses in entry.clauses:
        echo(f"  {'→' if rule == decided.rule else ' '} {rule}{'' if clauses else ': all others'}")
        for clause in clauses:
            echo(f"      {'  ' * clause.depth}{'yes' if clause.met else 'no '}  {clause.text}")
    replay = {True: "replayed from the recorded inputs: the same result", None: f"cannot be replayed: {entry.note}"}
    echo(f"  {replay.get(entry.same, f'REPLAY DIFFERS: {entry.note}')}")


def _prediction_text(entry: DecisionExplanation) -> str:
    from feedback.review.review_task_content import format_answer
    from feedback.training.prediction_explanation import format_explanation
    from ml_backend.records import Answer

    prediction, explanation = entry.prediction, format_explanation(entry.prediction)
    if "answer" not in prediction:
        return f"explanation of the prediction: {explanation}"
    answer = format_answer(Answer.from_key(str(prediction["answer"])))
    return f"predicted {answer}, confidence {format_percent(prediction['confidence'])}; explanation: {explanation}"


def _time(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
