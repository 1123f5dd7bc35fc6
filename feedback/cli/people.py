"""hitl people: accuracy, speed and anchoring of each person, with intervals."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from feedback.app.bootstrap import opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import echo, print_json, print_table


def people(
    project: Project,
    as_json: AsJson = False,
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Replace user ids by pseudonyms.")] = False,
) -> None:
    """Show the figures of each person; those with the clearest problems come first."""
    from feedback.project.snapshot import load_counted_snapshot
    from feedback.reports.annotator_report import annotator_figures
    from feedback.reports.formatting import pseudonym

    with opened_project(project) as (store, row):
        found = annotator_figures(store, load_counted_snapshot(store, row, row.policy))
        secret = store.secrets.get_or_create_secret("pseudonyms")
    if pseudonyms:
        found = [figures | {"person": pseudonym(secret, figures["person"])} for figures in found]
    if as_json:
        print_json(found)
    else:
        _print(row.id, found)


def _print(project: str, found: list[dict[str, Any]]) -> None:
    if not found:
        echo(f"Nobody has answered anything in project {project} yet.")
        return
    hidden = () if any(row["distance"] for row in found) else ("distance",)
    print_table({name: cell for name, cell in _accuracy_cells(row).items() if name not in hidden} for row in found)
    print_table(map(_work_cells, found))
    for row in found:
        if row["advice"]:
            echo(f"{row['person']} should pause: {row['advice']}.")
    for reason, named in _people_by(found, "reason").items():
        echo(f"{named}: {reason}.")
    for labels, named in _people_by(found, "unclear_labels").items():
        echo(f"{named}: the votes do not tell how often they find {labels}.")
    if any(row["unclear_labels"] or row["reason"] for row in found):
        echo("What tells: gold tasks (hitl gold add), or a third vote on the shared tasks.")


def _people_by(found: list[dict[str, Any]], name: str) -> dict[str, str]:
    """Return the people, as text, by their text or list of texts under a name; those without one are left out."""
    people: dict[str, list[str]] = {}
    for row in found:
        if row[name]:
            text = row[name] if isinstance(row[name], str) else ", ".join(row[name])
            people.setdefault(text.removesuffix("."), []).append(str(row["person"]))
    return {text: ", ".join(who) for text, who in people.items()}


def _accuracy_cells(row: dict[str, Any]) -> dict[str, object]:
    """Return the cells of the table of accuracy by column."""
    against = f"{row['compared']} {'gold answers' if row['against'] == 'gold' else 'shared tasks'}"
    weakest, onboarding = row["weakest_label"], row["onboarding"]
    progress = onboarding and f"{onboarding['answered']} of {onboarding['total']}"
    return {
        "person": row["person"],
        "answers": f"{row['answers']:,}",
        "accuracy": _interval_text(row["accuracy"]),
        "compared with": against if row["accuracy"] else "–",
        "distance": _interval_text(row["distance"]),
        "weakest label": f"{weakest['label']} {_interval_text(weakest)}" if weakest else "",
        "onboarding": f"{progress}: {_interval_text(onboarding['accuracy'])}" if onboarding else "–",
        "anchoring": _interval_text(row["anchoring"]),
    }


def _work_cells(row: dict[str, Any]) -> dict[str, object]:
    """Return the cells of the table of work: time, and how hours and practice change accuracy."""
    longest = max(row["time_share"].items(), key=lambda pair: pair[1]["value"], default=None)
    return {
        "person": row["person"],
        "hours": f"{row['hours']:.1f}",
        "per hour": _interval_text(row["per_hour"], 0),
        "median s": _interval_text(row["median_s"], 1),
        "most time on": f"{longest[0]} {_interval_text(longest[1])}" if longest else "–",
        "later hours": _change_text(row["by_hour"]),
        "with practice": _change_text(row["by_practice"]),
    }


def _interval_text(figure: dict[str, Any] | None, digits: int = 2) -> str:
    from feedback.reports.formatting import bounds, decimal

    return f"{decimal(figure['value'], digits)} {bounds(figure['low'], figure['high'], digits)}" if figure else "–"


def _change_text(trend: dict[str, Any] | None) -> str:
    """Return the change of accuracy after the first hour or the first fifty answers."""
    change = trend and trend["change"]
    return f"{_interval_text(change)}{' proven' if change['proven'] else ''}" if change else "–"
