"""hitl agree: agreement, consensus, and the accuracy of each annotator."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import isnan
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.app.bootstrap import list_names, load_settings, opened_project, opened_store
from feedback.cli.arguments import AsJson, project_argument
from feedback.cli.terminal import print_json, print_table, screen
from feedback.errors import VotesError

if TYPE_CHECKING:
    from rich.console import Console

    from feedback.agreement.coefficient import Coefficient
    from feedback.reports.vote_analysis import Analysis

_MAX_ROWS = 15


def agree(
    project: Annotated[str, project_argument("It may be left out where one project is connected, or with --votes.")],
    votes: Annotated[
        Path | None, typer.Option("--votes", help="A CSV file with the columns worker, task, label.")
    ] = None,
    gold: Annotated[Path | None, typer.Option("--gold", help="A CSV file with the columns task, gold.")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--type",
            help="Type of the answers, as in Label Studio's results: choices, rating, labels, ranker, ...",
        ),
    ] = "choices",
    calibrate_gold: Annotated[
        int,
        typer.Option("--calibrate-gold", min=0, help="Gold answers for calibration; the others measure accuracy."),
    ] = 0,
    segment: Annotated[
        str, typer.Option("--segment", help="A field of the tasks. Agreement is also shown for each of its values.")
    ] = "",
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Replace names and user ids by pseudonyms.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure agreement, consensus and annotators in a CSV file of votes or in a connected project."""
    from feedback.reports.votes_file import analyse_votes_file, read_gold, read_votes

    if project and votes is not None:
        raise VotesError("give either a project or --votes.", hint="hitl agree 12, or hitl agree --votes votes.csv")
    if segment and votes is not None:
        raise VotesError("--segment is a field of the tasks of a project.", hint="Leave it out, or give a project.")
    answers, notes = read_gold(gold) if gold else (None, ())
    if votes is not None:
        found = analyse_votes_file(
            read_votes(votes), kind=kind, gold=answers, calibrate_gold=calibrate_gold, notes=notes
        )
    else:
        found = _of_project(project, answers, calibrate_gold, segment)
    if pseudonyms:
        found = _pseudonymise(found, project if votes is None else None)
    if as_json:
        print_json(found.to_json())
    else:
        _print(found, str if pseudonyms or votes is not None else _namer())


def _of_project(project: str, gold: Any, calibrate_gold: int, segment: str) -> Analysis:
    """Analyse the votes of a project."""
    from dataclasses import replace

    from feedback.annotators.gold import load_gold_tasks
    from feedback.project.snapshot import load_counted_snapshot
    from feedback.reports.agreement_report import agreement_by_guideline, analyse_project, list_suggestions

    with opened_project(project) as (store, row):
        snapshot = load_counted_snapshot(store, row, row.policy)
        suggestions, by_guideline = list_suggestions(store, snapshot), agreement_by_guideline(store, snapshot)
        gold_tasks = load_gold_tasks(store, row.id)
    found = analyse_project(snapshot, gold=gold, gold_tasks=gold_tasks, calibrate_gold=calibrate_gold, segment=segment)
    return replace(found, suggestions=suggestions, by_guideline=by_guideline)


def _namer() -> Callable[[Any], str]:
    """Return what gives the name of a person of Label Studio by the user id."""
    from feedback.reports.formatting import person_name

    settings = load_settings()
    with opened_store(settings) as store:
        return partial(person_name, list_names(settings, store))


def _pseudonymise(found: Analysis, project: str | None) -> Analysis:
    """Return the analysis with pseudonyms: those of a project, or new ones for a file (None)."""
    from dataclasses import replace

    from feedback.reports.formatting import pseudonym

    secret, number = token_hex(), ""
    if project is not None:
        with opened_project(project) as (store, row):
            secret, number = store.secrets.get_or_create_secret("pseudonyms"), row.id
    name = partial(pseudonym, secret, number)
    annotators = tuple({**row, "worker": name(row["worker"])} for row in found.annotators)
    pairs = tuple({**pair, "workers": [name(who) for who in pair["workers"]]} for pair in found.pairs)
    return replace(found, annotators=annotators, pairs=pairs)


def _print(found: Analysis, name_of: Callable[[Any], str]) -> None:
    from ml_backend.number_format import format_count, format_number, format_percent

    console = screen()
    console.print(found.verdict)
    print_table(
        {"agreement": name, **_figure_cells(figure), "pairs": format_count(figure.pairs)}
        for name, figure in found.agreement.items()
    )
    for names, note in _undefined(found):
        console.print(f"{names}: {note}.")
    if found.open_first:
        console.print(f"Look at these tasks first: {', '.join(map(str, found.open_first))}")
    _print_breakdowns(found, name_of)
    numeric = any(score.error is not None for score in found.consensus.values())
    error = "mean distance" if numeric else "calibration error"
    print_table(
        {
            "consensus": name,
            "method": score.method,
            "accuracy on gold": format_percent(score.accuracy),
            error: format_number(score.error) if numeric else format_percent(score.ece),
        }
        for name, score in found.consensus.items()
    )
    _print_people(console, found, name_of)
    for issue in found.suggestions:
        suggested = (
            f"with the model, {issue['suggested']!r} is right with probability {format_percent(issue['probability'])}"
        )
        console.print(f"Check task {issue['task']}: people answered {issue['label']!r}; {suggested}.")
    for note in found.notes:
        console.print(f"Note: {note}.")


def _undefined(found: Analysis) -> Iterator[tuple[str, str]]:
    """Yield the measures that the votes do not define, and why, but for what the verdict says already."""
    by_note: dict[str, list[str]] = {}
    for name, figure in found.agreement.items():
        if figure.note and isnan(figure.value) and figure.note not in found.verdict:
            by_note.setdefault(figure.note, []).append(name)
    yield from ((", ".join(names), note) for note, names in by_note.items())


def _figure_cells(figure: Coefficient) -> dict[str, object]:
    from ml_backend.number_format import format_count, format_estimate, format_share

    text = format_share if figure.name == "percent" else format_estimate
    return {"value (95 %)": text(figure.value, figure.low, figure.high), "items": format_count(figure.items)}


def _print_breakdowns(found: Analysis, name_of: Callable[[Any], str]) -> None:
    """Print agreement by label, month, guideline and segment, and the pairs of people who surely agree least."""
    from ml_backend.number_format import format_count, format_estimate

    several = found.by_label if len(found.by_label) > 2 else {}  # with two labels both figures are equal
    groups = {"label": several, "month": found.by_month, "guideline": found.by_guideline, "segment": found.by_segment}
    print_table(
        {"by": by, "which": name, "measure": figure.name, **_figure_cells(figure)}
        for by, figures in groups.items()
        for name, figure in figures.items()
    )
    pairs = [
        {
            "person": name_of(pair["workers"][0]),
            "other person": name_of(pair["workers"][1]),
            "kappa (95 %)": format_estimate(pair["kappa"], pair["low"], pair["high"]),
            "items": format_count(pair["items"]),
        }
        for pair in found.pairs[:_MAX_ROWS]
    ]
    if len(pairs) > 1:
        print_table(pairs, title="pairs with the lowest agreement")


def _print_people(console: Console, found: Analysis, name_of: Callable[[Any], str]) -> None:
    """Print the annotators; those with the clearest problems come first."""
    from feedback.annotators.accuracy import SAMPLES
    from feedback.reports.figures import measure_text, sample_text, share_text
    from ml_backend.number_format import UNKNOWN, format_counted

    if not found.annotators:
        return
    is_accuracy = "accuracy" in found.annotators[0]

    def value_text(row: Mapping[str, Any]) -> str:
        if not row["compared"]:
            return UNKNOWN
        figure = {"value": row["accuracy" if is_accuracy else "distance"], "low": row["low"], "high": row["high"]}
        sample = sample_text({"n": row["compared"], "sample": SAMPLES[row["against"]]})
        return f"{(share_text if is_accuracy else measure_text)(figure)} of {sample}"

    shown = sorted(found.annotators, key=_need_for_help)[:_MAX_ROWS]
    print_table(
        {
            "annotator": name_of(row["worker"]),
            "accuracy" if is_accuracy else "distance": value_text(row),
        }
        for row in shown
    )
    if more := len(found.annotators) - len(shown):
        console.print(f"{format_counted(more, 'more annotator is', 'more annotators are')} not shown.")


def _need_for_help(row: Mapping[str, Any]) -> float:
    """Sort by the upper bound of accuracy, or by the lower bound of distance, largest first."""
    if "accuracy" in row:
        return -1.0 if row["high"] is None else float(row["high"])
    return 0.0 if row["low"] is None else -float(row["low"])
