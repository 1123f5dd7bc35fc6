"""hitl people: how reliable, how fast and how swayed each person is, with intervals."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import screen

if TYPE_CHECKING:
    from rich.table import Table


def people(
    project: Project,
    as_json: AsJson = False,
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Show nobody's user id.")] = False,
) -> None:
    """Show what is known of each person; those first who most surely need help. Nobody is ranked within an interval."""
    from feedback.annotators.pseudonyms import pseudonym
    from feedback.app.bootstrap import known_project, opened, settings_from_environment
    from feedback.project.snapshot import load_snapshot
    from feedback.reports.annotator_report import annotator_figures
    from feedback.store.repositories.policies import policy_of
    from ml_backend.label_config import read_label_config

    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        policy, config = policy_of(row), read_label_config(row.label_config)
        snapshot = load_snapshot(store, row, policy, config, config.control(policy.model.control))
        found = annotator_figures(store, snapshot)
        secret = store.secrets.get_or_create_secret("pseudonyms")
    if pseudonyms:
        found = [one | {"person": pseudonym(secret, one["person"])} for one in found]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(project, found)


def _print(project: str, found: list[dict[str, Any]]) -> None:
    console = screen()
    if not found:
        console.print(f"Nobody has answered anything in project {project} yet.")
        return
    console.print(_quality(found))
    console.print(_work(found))
    for one in found:
        if one["advice"]:
            console.print(f"{one['person']} should pause: {one['advice']}.")


def _quality(found: list[dict[str, Any]]) -> Table:
    """How right people are: those first who most surely need help."""
    from rich.table import Table

    by_distance = any(one["distance"] for one in found)
    away = ["from the others"] if by_distance else []
    table = Table("person", "answers", "right", "judged by", *away, "weakest on", "onboarding", "pull")
    for one in found:
        against = f"{one['compared']} {'gold answers' if one['against'] == 'gold' else 'shared tasks'}"
        table.add_row(
            str(one["person"]),
            f"{one['answers']:,}",
            _interval(one["accuracy"]),
            against if one["accuracy"] else "–",
            *([_interval(one["distance"])] if by_distance else []),
            f"{one['weakest_label']['label']} {_interval(one['weakest_label'])}" if one["weakest_label"] else "",
            _begun(one["onboarding"]),
            _interval(one["anchoring"]),
        )
    return table


def _work(found: list[dict[str, Any]]) -> Table:
    """How people work: time, and what hours and practice do to their accuracy."""
    from rich.table import Table

    table = Table("person", "hours", "an hour", "median s", "most time on", "later hours", "with practice")
    for one in found:
        longest = max(one["time_share"].items(), key=lambda pair: pair[1]["value"], default=None)
        table.add_row(
            str(one["person"]),
            f"{one['hours']:.1f}",
            _interval(one["per_hour"], 0),
            _interval(one["median_s"], 1),
            f"{longest[0]} {_interval(longest[1])}" if longest else "–",
            _change(one["by_hour"]),
            _change(one["by_practice"]),
        )
    return table


def _interval(figure: dict[str, Any] | None, digits: int = 2) -> str:
    if not figure:
        return "–"
    low, high = (f"{figure[end]:.{digits}f}" if figure[end] is not None else "…" for end in ("low", "high"))
    return f"{figure['value']:.{digits}f} [{low}, {high}]"


def _begun(one: dict[str, Any] | None) -> str:
    return f"{one['answered']} of {one['total']}: {_interval(one['accuracy'])}" if one else "–"


def _change(trend: dict[str, Any] | None) -> str:
    """How much accuracy moves after the first hour, or the first fifty answers."""
    change = trend and trend["change"]
    return f"{_interval(change)}{' proven' if change['proven'] else ''}" if change else "–"
