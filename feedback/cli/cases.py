"""hitl cases, hitl case: the open review cases, their figures, and the history of one case."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.app.bootstrap import list_emails, list_names, load_settings, opened_project, opened_store
from feedback.app.project_names import require_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import echo, print_json, print_table, screen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from feedback.reports.case_report import CaseList, CaseReport
    from feedback.reports.review_report import ReviewFigures, TierForecast
    from feedback.review.review_metrics import LabelErrors
    from feedback.review.reviewer_accuracy import ReviewerAccuracy
    from feedback.stats.intervals import Interval
    from feedback.store import CaseRow


_LIST_FIGURES = ("total", "page", "pages", "clocked", "clocked_late")
Reveal = Annotated[bool, typer.Option("--reveal", help="Show the answers of cases that are read blind, too.")]


def cases(
    project: Project,
    tier: Annotated[str, typer.Option("--tier", help="Only the cases of this tier.")] = "",
    state: Annotated[str, typer.Option("--state", help="Only the cases in this state, such as queued.")] = "",
    person: Annotated[
        int | None,
        typer.Option("--person", help="Only cases whose task this user answered, or which they reviewed or moved."),
    ] = None,
    late: Annotated[bool, typer.Option("--late", help="Only cases whose clock has run out.")] = False,
    clocked: Annotated[
        bool, typer.Option("--clocked", help="List the tasks of the first tier that only have a running clock.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Cases in any state, also resolved ones.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many cases one page has.")] = 100,
    page: Annotated[int, typer.Option("--page", min=1, help="Which page.")] = 1,
    figures: Annotated[bool, typer.Option("--figures", help="Show rates, times, errors and costs by tier.")] = False,
    segments: Annotated[bool, typer.Option("--segments", help="Show the figures of each segment, too.")] = False,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Show the next hours of each tier, with advice where it will be late.")
    ] = False,
    reveal: Reveal = False,
    as_json: AsJson = False,
) -> None:
    """List the review cases, the most urgent first, or show figures about them."""
    from feedback.reports.case_report import ALL, hide_blind_answer, list_case_page
    from feedback.reports.review_report import forecast_tiers, measure_review

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        if figures or segments or forecast:
            policy = row.policy
            emails = list_emails(settings, store)  # for wages
            measured = measure_review(store, row.id, policy, emails, control=row.control, by_segment=segments)
            ahead = forecast_tiers(store, row.id, policy, measured.tiers, now_s=time.time()) if forecast else []
            if as_json:
                print_json(asdict(measured) | {"forecast": ahead})
            else:
                _print_figures(measured, ahead, list_names(settings, store))
            return
        policy, now_s, state = row.policy, time.time(), state or ALL * everything
        found = list_case_page(
            store,
            row,
            state=state,
            tier=tier,
            person=person,
            late=late,
            clocked=clocked,
            page=page,
            size=limit,
            now_s=now_s,
        )
    shown = found.cases if reveal else [hide_blind_answer(case, policy) for case in found.cases]
    if as_json:
        lines = [_case_json(case, label_studio=settings.label_studio_link_url, now_s=now_s) for case in shown]
        print_json({name: getattr(found, name) for name in _LIST_FIGURES} | {"cases": lines})
    else:
        is_filtered = bool(state or tier or late or clocked or person is not None)
        _print_cases(shown)
        _print_list_notes(found, row.id, policy.first_tier, is_filtered=is_filtered, clocked=clocked)


def case(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the case.")],
    answered: Annotated[
        str, typer.Option("--answered", help="Answer the question of a waiting case. Its clocks continue.")
    ] = "",
    escalate: Annotated[str, typer.Option("--escalate", help="Escalate the case by one tier, for this reason.")] = "",
    reveal: Reveal = False,
    as_json: AsJson = False,
) -> None:
    """Show the history of a case, answer its question, or escalate it."""
    from feedback.reports.case_report import case_report, hide_blind_answers, is_read_blind
    from feedback.review.case_state_machine import CaseWorkflow, NoSuchMove

    settings = load_settings()
    with opened_store(settings) as store:
        row = store.cases.get_case(number)
        policy = require_project(store, row.project).policy
        if answered or escalate:
            workflow = CaseWorkflow(store, row.project, policy, now_s=time.time())
            if answered and row.state != "waiting":
                raise NoSuchMove(
                    f"case {number} asks nothing: it is {row.state} at {row.tier}.",
                    hint=f"Only a waiting case has a question: hitl cases {row.project} --state waiting",
                )
            if answered:
                row = workflow.move(row, "answered", note=answered)
            if escalate:
                workflow.move(row, "escalate", note=escalate, why=escalate, rule="escalated")
            store.jobs.request_job(row.project, "turn")
        report = case_report(store, number)
        is_hidden = is_read_blind(report.case, policy) and not reveal
        report = hide_blind_answers(report, policy) if is_hidden else report
        names = {} if as_json else list_names(settings, store)
    if as_json:
        print_json(report.to_json())
    else:
        _print_case(report, names, label_studio=settings.label_studio_link_url)
        if is_hidden:
            echo("This case is read blind, so no answer is shown before it is decided; --reveal shows all.")


def _case_json(case: CaseRow, *, label_studio: str, now_s: float) -> dict[str, object]:
    from feedback.reports.case_report import case_summary
    from feedback.review.review_task_content import format_answer

    answers = {"proposal": format_answer(case.proposal), "answer": format_answer(case.answer)}
    return case_summary(case, label_studio=label_studio, now_s=now_s) | answers


def _print_cases(cases: Sequence[CaseRow]) -> None:
    from feedback.review.review_task_content import format_time

    rows = []
    for case in cases:
        due = "paused" if case.paused_s is not None else format_time(case.due_s) if case.due_s is not None else ""
        breached = " (breached)" if case.breaches else ""
        row = {"case": case.id, "task": case.task, "tier": case.tier, "state": case.state}
        rows.append(row | {"due": f"{due}{breached}", "why": case.why})
    print_table(rows)


def _print_list_notes(found: CaseList, project: str, first_tier: str, *, is_filtered: bool, clocked: bool) -> None:
    """Print that there is nothing, which page this is, and how many tasks of the first tier are not in the list."""
    from ml_backend.number_format import format_count, format_counted

    if not found.total:
        echo("No case matches." if is_filtered else "Nothing waits for review.")
    if found.pages > 1:
        more = f" The next: --page {found.page + 1}." if found.page < found.pages else ""
        echo(f"Page {found.page} of {found.pages}, {format_count(found.total)} cases.{more}")
    if found.clocked and not clocked:
        late = f", {format_count(found.clocked_late)} of them late" if found.clocked_late else ""
        tasks = format_counted(found.clocked, "task", "tasks")
        echo(f"Not listed: {tasks} of {first_tier} with a running clock and nothing else{late}.")
        echo(f"  hitl cases {project} --clocked")


def _print_case(report: CaseReport, names: Mapping[int, str], *, label_studio: str) -> None:
    from feedback.reports.case_report import case_summary
    from feedback.reports.formatting import person_name
    from feedback.review.review_task_content import format_answer, format_time
    from ml_backend.number_format import format_percent

    case = report.case
    echo(f"Case {case.id}: task {case.task} of project {case.project}, {case.state} at {case.tier}, round {case.round}")
    echo(f"  opened because {case.why}" + (f" (rule {case.rule})" if case.rule else ""))
    if case.proposal is not None:
        by_model = case.confidence is not None and case.proposed_by == "model"
        confidence = f", confidence {format_percent(case.confidence)}" if by_model else ""
        echo(f"  proposed: {format_answer(case.proposal)}, by {case.proposed_by}{confidence}")
    if prediction := report.prediction:
        echo(f"  prediction: {prediction['answer']} ({prediction['model']}); explanation: {prediction['explanation']}")
    if case.state in ("decided", "resolved"):
        echo(f"  decided: {format_answer(case.answer)}")
    if url := case_summary(case, label_studio=label_studio, now_s=time.time())["url"]:
        echo(f"  {'review task' if case.review_task is not None else 'task'}: {url}")
    echo("Events")
    for event in report.events:
        who = f" by {person_name(names, event.person)}" if event.person is not None else ""
        at = format_time(event.at_s)
        echo(f"  {event.number:3} {at}  {event.event:9} {event.tier:4} {event.state:9}{who}  {event.note}")
    for review in report.reviews:
        counted = "" if review.counted else f" (not counted: {review.refused or 'skipped'})"
        texts = (review.verdict, format_answer(review.answer), review.reason, review.comment)
        text = "; ".join(filter(None, texts))
        by = person_name(names, review.person)
        echo(f"Review by {by} at {review.tier}, {format_time(review.at_s)}: {text}{counted}")
    for request in report.requests:
        echo(f"Request {request.request}: {request.statement}")


def _print_figures(measured: ReviewFigures, forecasts: Sequence[TierForecast], names: Mapping[int, str]) -> None:
    from feedback.reports.formatting import person_name
    from ml_backend.number_format import format_count, format_counted, format_money, format_number, format_seconds

    console, n_audit = screen(), format_counted(measured.n_audit, "audit task", "audit tasks")
    print_table(
        {
            "tier": f"  {tier.segment}" if tier.segment else tier.tier,
            "cases": format_count(tier.cases),
            "open": format_count(tier.n_open),
            "escalated": _rate(tier.escalated),
            "breached": _rate(tier.breached),
            "wait": format_seconds(tier.wait_s),
            "decided in": format_seconds(tier.decide_s),
            "resolved in": format_seconds(tier.resolve_s),
            "reviews/h": format_number(tier.reviews_per_hour),
            "cost": format_money(tier.cost),
            "no reason": _rate(tier.no_reason),
        }
        for tier in measured.tiers
    )
    print_table(
        map(_error_cells, measured.labels), title=f"Model {measured.model}, by label, on {n_audit} answered blind"
    )
    print_table(
        {
            "person": person_name(names, person.person),
            "reviews": format_count(person.n_reviews),
            "not counted": format_count(person.refused),
            "upheld": _upheld(person),
            "undecided": format_count(person.undecided),
            "reviews/h": format_number(person.reviews_per_hour),
        }
        for person in measured.people
    )
    if measured.people:
        console.print("Upheld: others gave the same answer to a case, or a later one settled it so. It is no accuracy.")
    _print_segments(measured, names)
    for reviewer in measured.unreliable:
        console.print(f"{person_name(names, reviewer)} is proven to be upheld less often than `gold.pause_below`.")
    if unsettled := [person for person in measured.people if person.is_open]:
        named = ", ".join(
            f"{person_name(names, person.person)} ({person.undecided} of {person.compared})" for person in unsettled
        )
        console.print(
            f"Not known yet for {named}: others answered differently, and nobody has settled who is right. "
            "A tier above, a third reviewer or honeypots would tell."
        )
    for ahead in forecasts:
        cases = ", ".join(f"{queue} {format_number(expected)}" for queue, expected in ahead.queues.items())
        arrivals = f" Expected cases: {cases}." if cases else ""
        wait = format_seconds(max(ahead.wait_s, default=0.0))
        console.print(f"{ahead.tier}: longest wait ahead {wait}.{arrivals} {ahead.advice}")


def _print_segments(measured: ReviewFigures, names: Mapping[int, str]) -> None:
    """Print the model's errors and the reviewers' accuracy in each tier and segment, where there are segments."""
    from feedback.reports.formatting import person_name
    from ml_backend.number_format import format_count, format_number

    if not any(tier.segment for tier in measured.tiers):
        return
    model = [
        {"tier": tier.tier, "segment": tier.segment} | _error_cells(label)
        for tier in measured.tiers
        for label in tier.labels
    ]
    print_table(model, title="Answers of the model that people of a tier changed, on cases")
    people = [
        {
            "tier": tier.tier,
            "segment": tier.segment,
            "person": person_name(names, person.person),
            "reviews": format_count(person.n_reviews),
            "upheld": _upheld(person),
            "reviews/h": format_number(person.reviews_per_hour),
        }
        for tier in measured.tiers
        for person in tier.people
    ]
    print_table(people, title="Reviewers, by segment")


def _error_cells(label: LabelErrors) -> dict[str, object]:
    rates = {"false positives": _rate(label.false_positive), "false negatives": _rate(label.false_negative)}
    return {"label": label.label, **rates}


def _rate(figure: Interval) -> str:
    from ml_backend.number_format import format_share

    return format_share(figure.value, figure.low, figure.high)


def _upheld(person: ReviewerAccuracy) -> str:
    from ml_backend.number_format import UNKNOWN, format_count

    return f"{_rate(person.upheld)} of {format_count(person.compared)}" if person.compared else UNKNOWN
