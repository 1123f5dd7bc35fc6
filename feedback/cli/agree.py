"""hitl agree: how far people agree, what they say together, and how good each of them is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.cli.terminal import screen

if TYPE_CHECKING:
    from feedback.reports.vote_analysis import Analysis

_SHOWN_PEOPLE = 15


def agree(
    project: Annotated[
        str, typer.Argument(metavar="PROJECT", help="A connected project's number; or give --votes.")
    ] = "",
    votes: Annotated[Path | None, typer.Option("--votes", help="CSV with the columns worker, task, label.")] = None,
    gold: Annotated[Path | None, typer.Option("--gold", help="CSV with the columns task, gold.")] = None,
    kind: Annotated[
        str,
        typer.Option(
            "--type", help="What a label is: choices, pairwise, rating, number, taxonomy, labels, rectanglelabels."
        ),
    ] = "choices",
    calibrate_gold: Annotated[
        int, typer.Option("--calibrate-gold", min=0, help="Gold answers for calibration; the rest judges.")
    ] = 0,
    segment: Annotated[
        str, typer.Option("--segment", help="A field of the project's tasks, by which agreement is told as well.")
    ] = "",
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Show nobody's name or user id.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write everything here, as JSON.")] = None,
) -> None:
    """Measure agreement, consensus and annotators, of a votes file or of a connected project."""
    from feedback.errors import VotesError
    from feedback.reports.votes_file import analyse_votes_file, read_gold, read_votes

    if bool(project) == (votes is not None):
        raise VotesError("wanted either a project or --votes.", hint="hitl agree 12, or hitl agree --votes votes.csv")
    answers, notes = read_gold(gold) if gold else (None, ())
    if votes is not None:
        found = analyse_votes_file(
            read_votes(votes), kind=kind, gold=answers, calibrate_gold=calibrate_gold, notes=notes
        )
    else:
        found = _of_project(project, answers, calibrate_gold, segment)
    if pseudonyms:
        found = _unnamed(found, project)
    if json_file:
        try:
            json_file.write_text(json.dumps(found.plain(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise VotesError(f"{json_file} cannot be written: {error.strerror}.") from error
    _print(found)


def _of_project(project: str, gold: Any, calibrate_gold: int, segment: str) -> Analysis:
    """A project's own votes: judged on the tasks that were drawn for it, where there are any."""
    from dataclasses import replace

    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.project.snapshot import load_snapshot
    from feedback.reports.project_votes import analyse_scene, suggestions
    from feedback.store.repositories.policies import policy_of
    from ml_backend.label_config import read_label_config

    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        policy, config = policy_of(row), read_label_config(row.label_config)
        snapshot = load_snapshot(store, row, policy, config, config.control(policy.model.control))
        doubts = suggestions(store, snapshot)
    found = analyse_scene(snapshot, gold=gold, calibrate_gold=calibrate_gold, segment=segment)
    return replace(found, suggestions=doubts)


def _unnamed(found: Analysis, project: str) -> Analysis:
    """The same with pseudonyms: those of `hitl people` for a project, new ones each time for a file."""
    import secrets
    from dataclasses import replace

    from feedback.annotators.pseudonyms import pseudonym
    from feedback.app.bootstrap import opened, settings_from_environment

    secret = secrets.token_hex()
    if project:
        with opened(settings_from_environment()) as store:
            secret = store.secrets.get_or_create_secret("pseudonyms")
    unnamed = tuple({**one, "worker": pseudonym(secret, one["worker"])} for one in found.annotators)
    pairs = tuple({**one, "workers": [pseudonym(secret, who) for who in one["workers"]]} for one in found.pairs)
    return replace(found, annotators=unnamed, pairs=pairs)


def _print(found: Analysis) -> None:
    from rich.table import Table

    console = screen()
    table = Table("agreement", "value", "95 % interval", "items", "pairs")
    for name, figure in found.agreement.items():
        table.add_row(
            name, _figure(figure.value), _bounds(figure.low, figure.high), f"{figure.items:,}", f"{figure.pairs:,}"
        )
    console.print(table)
    console.print(found.verdict)
    if found.open_first:
        console.print(f"Open first: {', '.join(map(str, found.open_first))}")
    _print_breakdowns(console, found)
    numeric = any(one.error is not None for one in found.consensus.values())
    table = Table("consensus", "method", "accuracy on gold", "mean distance" if numeric else "calibration error")
    for name, one in found.consensus.items():
        table.add_row(name, one.method, _figure(one.accuracy, 4), _figure(one.error if numeric else one.ece, 4))
    console.print(table)
    _print_people(console, found)
    for doubt in found.suggestions:
        sure = f"{doubt['suggested']!r} is right with probability {doubt['probability']:.2f}"
        console.print(f"Look again at task {doubt['task']}: people said {doubt['said']!r}, and with the model {sure}.")
    for note in found.notes:
        console.print(f"Note: {note}.")


def _print_breakdowns(console: Any, found: Analysis) -> None:
    """Label by label, month by month, by segment; and the pairs of people who surely agree least."""
    from rich.table import Table

    several = found.by_label if len(found.by_label) > 2 else {}  # of two labels both figures are the same
    groups = {"label": several, "month": found.by_month, "segment": found.by_segment}
    if any(groups.values()):
        table = Table("by", "which", "kappa", "95 % interval", "items")
        for by, figures in groups.items():
            for name, figure in figures.items():
                bounds = _bounds(figure.low, figure.high)
                table.add_row(by, name, _figure(figure.value), bounds, f"{figure.items:,}")
        console.print(table)
    if len(found.pairs) > 1:
        table = Table("one", "other", "kappa", "95 % interval", "items", title="who agrees least with whom")
        for pair in found.pairs[:_SHOWN_PEOPLE]:
            one, other = map(str, pair["workers"])
            table.add_row(one, other, _figure(pair["kappa"]), _bounds(pair["low"], pair["high"]), f"{pair['items']:,}")
        console.print(table)


def _print_people(console: Any, found: Analysis) -> None:
    """Those who most surely need help first; nobody is ranked within an interval."""
    from rich.table import Table

    if not found.annotators:
        return
    what = "accuracy" if "accuracy" in found.annotators[0] else "distance"
    need = (lambda who: _order(who["high"], -1.0)) if what == "accuracy" else (lambda who: -_order(who["low"], 0.0))
    table = Table("annotator", "votes", what, "95 % interval", "judged by", "on")
    shown = sorted(found.annotators, key=need)[:_SHOWN_PEOPLE]
    for who in shown:
        bounds = _bounds(who["low"], who["high"])
        table.add_row(
            str(who["worker"]), f"{who['votes']:,}", _figure(who[what]), bounds, who["against"], f"{who['compared']:,}"
        )
    console.print(table)
    if len(found.annotators) > len(shown):
        console.print(f"{len(found.annotators) - len(shown):,} more annotators need help less surely.")


def _order(bound: float | None, missing: float) -> float:
    return missing if bound is None else bound


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _bounds(low: float | None, high: float | None) -> str:
    return f"[{_figure(low)}, {_figure(high)}]"
