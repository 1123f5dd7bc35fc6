"""hitl people: how reliable, how fast and how swayed each person is, with intervals."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from feedback.commands.arguments import AsJson, Project
from feedback.commands.screen import screen


def people(
    project: Project,
    as_json: AsJson = False,
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Show nobody's user id.")] = False,
) -> None:
    """Show what is known of each person; those first who most surely need help. Nobody is ranked within an interval."""
    from feedback.activating import policy_of
    from feedback.learning.scene import read_scene
    from feedback.people.pseudonyms import pseudonym
    from feedback.reports.reliability import people_figures
    from feedback.wiring import known_project, opened, settings_from_environment
    from ml_backend.label_config import read_label_config

    with opened(settings_from_environment()) as store:
        row = known_project(store, project)
        policy, config = policy_of(row), read_label_config(row.label_config)
        found = people_figures(store, read_scene(store, row, policy, config, config.control(policy.model.control)))
        secret = store.secret("pseudonyms")
    if pseudonyms:
        found = [one | {"person": pseudonym(secret, one["person"])} for one in found]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(project, found)


def _print(project: str, found: list[dict[str, Any]]) -> None:
    from rich.table import Table

    console = screen()
    if not found:
        console.print(f"Nobody has answered anything in project {project} yet.")
        return
    table = Table("person", "answers", "right", "judged by", "weakest on", "an hour", "median", "pull")
    for one in found:
        against = f"{one['compared']} {'gold answers' if one['against'] == 'gold' else 'shared tasks'}"
        table.add_row(
            str(one["person"]),
            f"{one['answers']:,}",
            _interval(one["accuracy"]),
            against if one["accuracy"] else "–",
            one["weakest"]["label"] if one["weakest"] else "",
            f"{one['per_hour']:g}" if one["per_hour"] else "–",
            f"{one['median_s']:g} s" if one["median_s"] is not None else "–",
            _interval(one["pull"]),
        )
    console.print(table)
    for one in found:
        if one["advice"]:
            console.print(f"{one['person']} should pause: {one['advice']}.")


def _interval(figure: dict[str, Any] | None) -> str:
    return f"{figure['value']:.2f} [{figure['low']:.2f}, {figure['high']:.2f}]" if figure else "–"
