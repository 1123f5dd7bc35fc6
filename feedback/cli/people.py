"""hitl people: accuracy, speed and anchoring of each person, with intervals."""

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
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Replace user ids by pseudonyms.")] = False,
) -> None:
    """Show the figures of each person; those who most surely need help come first."""
    from feedback.annotators.pseudonyms import pseudonym
    from feedback.app.bootstrap import load_settings, opened_store, require_project
    from feedback.project.snapshot import load_snapshot
    from feedback.reports.annotator_report import annotator_figures
    from feedback.store.repositories.policies import policy_of
    from ml_backend.label_config import read_label_config

    with opened_store(load_settings()) as store:
        row = require_project(store, project)
        policy, config = policy_of(row), read_label_config(row.label_config)
        snapshot = load_snapshot(store, row, policy, config, config.control(policy.model.control))
        found = annotator_figures(store, snapshot)
        secret = store.secrets.get_or_create_secret("pseudonyms")
    if pseudonyms:
        found = [row | {"person": pseudonym(secret, row["person"])} for row in found]
    if as_json:
        typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(project, found)


def _print(project: str, found: list[dict[str, Any]]) -> None:
    console = screen()
    if not found:
        console.print(f"Nobody has answered anything in project {project} yet.")
        return
    console.print(_accuracy_table(found))
    console.print(_work_table(found))
    for row in found:
        if row["advice"]:
            console.print(f"{row['person']} should pause: {row['advice']}.")


def _accuracy_table(found: list[dict[str, Any]]) -> Table:
    """Return the table of accuracy; those who most surely need help come first."""
    from rich.table import Table

    by_distance = any(row["distance"] for row in found)
    distance = ["distance"] if by_distance else []
    table = Table(
        "person", "answers", "accuracy", "compared with", *distance, "weakest label", "onboarding", "anchoring"
    )
    for row in found:
        against = f"{row['compared']} {'gold answers' if row['against'] == 'gold' else 'shared tasks'}"
        table.add_row(
            str(row["person"]),
            f"{row['answers']:,}",
            _interval_text(row["accuracy"]),
            against if row["accuracy"] else "–",
            *([_interval_text(row["distance"])] if by_distance else []),
            f"{row['weakest_label']['label']} {_interval_text(row['weakest_label'])}" if row["weakest_label"] else "",
            _onboarding_text(row["onboarding"]),
            _interval_text(row["anchoring"]),
        )
    return table


def _work_table(found: list[dict[str, Any]]) -> Table:
    """Return the table of work: time, and how hours and practice change accuracy."""
    from rich.table import Table

    table = Table("person", "hours", "per hour", "median s", "most time on", "later hours", "with practice")
    for row in found:
        longest = max(row["time_share"].items(), key=lambda pair: pair[1]["value"], default=None)
        table.add_row(
            str(row["person"]),
            f"{row['hours']:.1f}",
            _interval_text(row["per_hour"], 0),
            _interval_text(row["median_s"], 1),
            f"{longest[0]} {_interval_text(longest[1])}" if longest else "–",
            _change_text(row["by_hour"]),
            _change_text(row["by_practice"]),
        )
    return table


def _interval_text(figure: dict[str, Any] | None, digits: int = 2) -> str:
    if not figure:
        return "–"
    low, high = (f"{figure[end]:.{digits}f}" if figure[end] is not None else "…" for end in ("low", "high"))
    return f"{figure['value']:.{digits}f} [{low}, {high}]"


def _onboarding_text(row: dict[str, Any] | None) -> str:
    return f"{row['answered']} of {row['total']}: {_interval_text(row['accuracy'])}" if row else "–"


def _change_text(trend: dict[str, Any] | None) -> str:
    """Return the change of accuracy after the first hour or the first fifty answers."""
    change = trend and trend["change"]
    return f"{_interval_text(change)}{' proven' if change['proven'] else ''}" if change else "–"
