"""hitl why: why a task went where it went, and proof that the recorded inputs say so."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson, Task

if TYPE_CHECKING:
    from feedback.routing.router import Why
    from feedback.store import Store


def why(
    task: Task,
    project: Annotated[
        str, typer.Option("--project", "-p", metavar="PROJECT", help="The project; without, the one with that task.")
    ] = "",
    every: Annotated[bool, typer.Option("--all", help="Every decision, not only the one that stands.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show where a task went and why, decided once more from what was recorded, and what people did with it since."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment, workshop_of
    from feedback.project.connect import policy_of
    from feedback.reports.case_timeline import in_words
    from feedback.reports.review_report import case_report
    from feedback.routing.router import why as explain

    settings = settings_from_environment()
    with opened(settings) as store:
        project = project or _with(store, task)
        row = known_project(store, project)
        decisions, load = (
            store.decisions.list_decisions(project, task=task),
            workshop_of(settings, store).load,
        )
        found = [explain(store, project, one, load=load) for one in (decisions if every else decisions[:1])]
        signals = store.signals.list_signals(project, task=task)
        known = store.tasks.get_task(project, task) is not None
        cases = [case_report(store, one.id) for one in store.cases.list_cases(project, tasks=[task])]
        reasons = policy_of(row).reasons
    if as_json:
        bodies = [asdict(one) | {"rule": one.rule.model_dump(mode="json") if one.rule else None} for one in found]
        told = {"decisions": bodies, "signals": [asdict(one) for one in signals]}
        typer.echo(json.dumps(told | {"cases": [one.to_json() for one in cases]}, indent=2))
    elif not found and not cases:
        typer.echo(
            f"Nothing was decided about task {task}: "
            + ("the policy has no rules, or no turn has run since it has." if known else "no such task is known.")
        )
    for one in found if not as_json else ():
        _print(one)
    for signal in signals if not as_json else ():
        typer.echo(f"Signal {signal.name} = {signal.value!r} at {_time(signal.at_s)} from {signal.source or 'unknown'}")
    for report in cases if not as_json else ():
        for number, line in enumerate(in_words(report, reasons)):
            typer.echo(f"{'  ' if number else ''}{line}")
    if any(one.same is False for one in found):
        raise SystemExit(1)


def _with(store: Store, task: int) -> str:
    """The project that has a task, or has decided about it: Label Studio numbers the tasks of all projects together."""
    from feedback.errors import NotConnected

    numbers = [row.id for row in store.projects.list_projects()]
    found = [
        one
        for one in numbers
        if store.tasks.get_task(one, task) is not None or store.decisions.list_decisions(one, task=task)
    ]
    if len(found) == 1:
        return found[0]
    of = ", ".join(found or numbers) or "none"
    raise NotConnected(
        f"{'several projects have' if found else 'no project has'} a task {task}; known: {of}.",
        hint="Name the project: --project 12.",
    )


def _print(one: Why) -> None:
    stands = one.decision.standing
    typer.echo(f"Task {one.decision.task}, {_time(one.decision.at_s)}: goes to {stands.outcome}")
    typer.echo(f"  rule {stands.rule} of policy {stands.policy}, model {stands.model or 'none yet'}")
    if one.rule is not None and one.rule.reason:
        typer.echo(f"  because {one.rule.reason}")
    if one.opinion:
        typer.echo(f"  {_opinion(one)}")
    if stands.refused:
        typer.echo(f"  not automatically: {stands.refused}")
    more = {"priority": stands.priority, "queue": stands.queue, "people": stands.overlap}
    said = [f"{name} {value}" for name, value in more.items() if value not in (None, "normal", "default")]
    if said:
        typer.echo(f"  {', '.join(said)}")
    for rule, clauses in one.clauses:
        typer.echo(f"  {'→' if rule == stands.rule else ' '} {rule}{'' if clauses else ': all others'}")
        for clause in clauses:
            typer.echo(f"      {'  ' * clause.depth}{'yes' if clause.met else 'no '}  {clause.text}")
    replay = {True: "decided once more from what was recorded: the same", None: f"cannot be replayed: {one.note}"}
    typer.echo(f"  {replay.get(one.same, f'REPLAY DIFFERS: {one.note}')}")


def _opinion(one: Why) -> str:
    from feedback.review.review_task_content import format_answer
    from feedback.training.explanations import spoken
    from ml_backend.records import Answer

    if "answer" not in one.opinion:
        return f"what spoke for the model's answer: {spoken(one.opinion)}"
    said = format_answer(Answer.from_key(str(one.opinion["answer"])))
    return f"the model said {said}, {one.opinion['confidence']:.0%} sure; what spoke for it: {spoken(one.opinion)}"


def _time(at_s: float) -> str:
    return f"{datetime.fromtimestamp(at_s, UTC):%Y-%m-%d %H:%M:%S} UTC"
