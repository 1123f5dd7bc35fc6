"""hitl cases, hitl case: what waits for people, one case's whole story, and a word from whoever was asked."""

from __future__ import annotations

import json
import math
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import screen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from feedback.reports.review_report import Ahead, CaseReport, Measured
    from feedback.settings import Settings
    from feedback.stats import Interval
    from feedback.store import CaseRow, Store


def cases(
    project: Project,
    tier: Annotated[str, typer.Option("--tier", help="Only the cases of one tier.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Resolved and withdrawn cases, too.")] = False,
    figures: Annotated[bool, typer.Option("--figures", help="Rates, times, errors and costs by tier.")] = False,
    segments: Annotated[bool, typer.Option("--segments", help="Figures of each segment, too.")] = False,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="The next hours of each tier, and what would help.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the cases under review, the most urgent first; or measure them."""
    import orjson

    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.project.connect import policy_of
    from feedback.reports.review_report import ahead, measured
    from feedback.review.state_machine import OPEN_STATES

    settings = settings_from_environment()
    with opened(settings) as store:
        row = known_project(store, project)
        if figures or segments or forecast:
            policy = policy_of(row)
            emails = _emails(settings, store)
            seen = measured(store, project, policy, emails, control=row.control, by_segment=segments)
            told = ahead(store, project, policy, seen.tiers, now_s=time.time()) if forecast else []
            if as_json:
                body = asdict(seen) | {"ahead": [asdict(one) for one in told]}
                typer.echo(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode())  # what is not a number is null
            else:
                _print_figures(seen, told)
            return
        found = [
            one
            for one in store.cases.list_cases(project)
            if (everything or one.state in (*OPEN_STATES, "decided")) and tier in ("", one.tier)
        ]
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in found], indent=2))
    else:
        _print_cases(found)


def case(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The case's number.")],
    answered: Annotated[
        str, typer.Option("--answered", help="Answer what a waiting case has asked; its clocks go on.")
    ] = "",
    escalate: Annotated[str, typer.Option("--escalate", help="Send it one tier up, with this reason.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show everything that happened to a case; or answer its question, or send it up."""
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.project.connect import policy_of
    from feedback.reports.review_report import case_report
    from feedback.review.case_workflow import CaseWorkflow

    with opened(settings_from_environment()) as store:
        found = store.cases.get_case(number)
        if answered or escalate:
            book = CaseWorkflow(store, found.project, policy_of(known_project(store, found.project)), now_s=time.time())
            if answered:
                found = book.move(found, "answered", note=answered)
            if escalate:
                book.move(found, "escalate", note=escalate, why=escalate, rule="escalated")
            store.jobs.request_job(found.project, "turn")
        report = case_report(store, number)
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2))
    else:
        _print_case(report)


def _emails(settings: Settings, store: Store) -> Mapping[int, str]:
    """Who people are, for wages; nobody where Label Studio is away."""
    from feedback.app.bootstrap import client_of
    from feedback.labelling_platform.labelstudio_adapter import LabelStudioAdapter
    from ml_backend.errors import LabelStudioError

    if not settings.has_label_studio:
        return {}
    try:
        with client_of(settings, store) as client:
            return LabelStudioAdapter(client, store).list_emails()
    except LabelStudioError as error:
        typer.echo(f"hitl: costs are left out: {error}", err=True)
        return {}


def _plain(one: CaseRow) -> dict[str, object]:
    from feedback.review.review_task_content import format_answer

    return asdict(one) | {"proposal": format_answer(one.proposal), "answer": format_answer(one.answer)}


def _print_cases(found: list[CaseRow]) -> None:
    from rich.table import Table

    from feedback.review.review_task_content import format_time

    if not found:
        typer.echo("Nothing waits for review.")
        return
    table = Table("case", "task", "tier", "state", "wanted by", "why")
    for one in found:
        late = "paused" if one.paused_s is not None else format_time(one.due_s) if one.due_s is not None else ""
        marks = f"{late}{' (breached)' if one.breaches else ''}"
        table.add_row(str(one.id), str(one.task), one.tier, one.state, marks, one.why)
    screen().print(table)


def _print_case(report: CaseReport) -> None:
    from feedback.review.review_task_content import format_answer, format_time

    one = report.case
    typer.echo(f"Case {one.id}: task {one.task} of project {one.project}, {one.state} at {one.tier}, round {one.round}")
    typer.echo(f"  here because {one.why}" + (f" (rule {one.rule})" if one.rule else ""))
    if one.proposal is not None:
        sure = f", {one.confidence:.0%} sure" if one.confidence is not None and one.proposed_by == "model" else ""
        typer.echo(f"  proposed: {format_answer(one.proposal)}, by {one.proposed_by}{sure}")
    if told := report.opinion:
        typer.echo(f"  the model said: {told['answer']} ({told['model']}); what spoke for it: {told['spoken']}")
    if one.state in ("decided", "resolved"):
        typer.echo(f"  decided: {format_answer(one.answer)}")
    typer.echo("Trail")
    for step in report.trail:
        who = f" by {step.person}" if step.person is not None else ""
        typer.echo(
            f"  {step.number:3} {format_time(step.at_s)}  {step.event:9} {step.tier:4} {step.state:9}{who}  {step.note}"
        )
    for look in report.looks:
        counted = "" if look.counted else f" (not counted: {look.refused or 'a skip'})"
        said = "; ".join(filter(None, (look.verdict, format_answer(look.answer), look.reason, look.comment)))
        typer.echo(f"Look of {look.person} at {look.tier}, {format_time(look.at_s)}: {said}{counted}")
    for proof in report.human_review_requests:
        typer.echo(f"Request {proof.request}: {proof.statement}")


def _print_figures(seen: Measured, told: list[Ahead]) -> None:
    from rich.table import Table

    console = screen()
    names = (
        "tier",
        "cases",
        "live",
        "escalated",
        "breached",
        "wait",
        "decided in",
        "resolved in",
        "looks/h",
        "cost",
        "no reason",
    )
    table = Table(*names)
    for one in seen.tiers:
        times = [_duration(value) for value in (one.wait_s, one.decide_s, one.resolve_s)]
        rates = [_rate(one.escalated), _rate(one.breached)]
        last = [f"{value:.2f}" if value is not None else "" for value in (one.reviews_per_hour, one.cost)]
        name = f"  {one.segment}" if one.segment else one.tier
        table.add_row(name, str(one.cases), str(one.n_open), *rates, *times, *last, _rate(one.no_reason))
    console.print(table)
    for title, labels in (("The model, by label", seen.labels), ("... where people saw nothing", seen.blind_labels)):
        if labels:
            errors = Table("label", "false positives", "false negatives", title=title)
            for label in labels:
                errors.add_row(label.label, _rate(label.false_positive), _rate(label.false_negative))
            console.print(errors)
    if seen.people:
        people = Table("person", "looks", "not counted", "accuracy", "of", "looks/h")
        for person in seen.people:
            pace = f"{person.reviews_per_hour:.1f}" if person.reviews_per_hour is not None else ""
            accuracy = str(person.accuracy) if person.compared else ""
            people.add_row(
                str(person.person), str(person.n_reviews), str(person.refused), accuracy, str(person.compared), pace
            )
        console.print(people)
    if any(one.segment for one in seen.tiers):
        _print_apart(seen)
    for doubted in seen.doubted:
        console.print(f"Person {doubted} is surely wrong too often, and should pause.")
    for tier in told:
        longest = max(tier.wait_s, default=0.0)
        comes = ", ".join(f"{queue} {many:.1f}" for queue, many in tier.queues.items())
        expected = f" Expected: {comes}." if comes else ""
        console.print(
            f"{tier.tier}: longest wait ahead {_duration(longest)}.{expected} {tier.advice}",
            highlight=False,
            markup=False,
        )


def _print_apart(seen: Measured) -> None:
    """The model's errors and the reviewers' accuracy in each tier and segment."""
    from rich.table import Table

    model = Table("tier", "segment", "label", "false positives", "false negatives", title="The model, where")
    people = Table("tier", "segment", "person", "looks", "accuracy", "looks/h", title="Reviewers, where")
    for one in seen.tiers:
        for label in one.labels:
            model.add_row(one.tier, one.segment, label.label, _rate(label.false_positive), _rate(label.false_negative))
        for person in one.people:
            accuracy = f"{person.accuracy} of {person.compared}" if person.compared else ""
            pace = f"{person.reviews_per_hour:.1f}" if person.reviews_per_hour is not None else ""
            people.add_row(one.tier, one.segment, str(person.person), str(person.n_reviews), accuracy, pace)
    for table in (model, people):
        if table.row_count:
            screen().print(table)


def _rate(share: Interval) -> str:
    """A share with its interval; nothing where there was nothing to count."""
    return "" if math.isnan(share.value) else str(share)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds == float("inf"):
        return "without end"
    for name, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.0f} s"
