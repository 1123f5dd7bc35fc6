"""hitl people: accuracy, speed and anchoring of each person, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from feedback.app.bootstrap import list_names, load_settings, opened_project
from feedback.cli.arguments import AsJson, Project
from feedback.cli.terminal import echo, print_json, print_table


def people(
    project: Project,
    as_json: AsJson = False,
    pseudonyms: Annotated[bool, typer.Option("--pseudonyms", help="Replace names and user ids by pseudonyms.")] = False,
) -> None:
    """Show the figures of each person; those with the clearest problems come first."""
    from feedback.project.snapshot import load_counted_snapshot
    from feedback.reports.annotator_report import annotator_figures
    from feedback.reports.formatting import person_name, pseudonym

    settings = load_settings()
    with opened_project(project, settings) as (store, row):
        project_id = row.id
        found = annotator_figures(store, load_counted_snapshot(store, row, row.policy))
        secret = store.secrets.get_or_create_secret("pseudonyms")
        names = list_names(settings, store) if found and not pseudonyms else {}
    if pseudonyms:
        found = [figures | {"person": pseudonym(secret, project_id, figures["person"])} for figures in found]
    else:
        found = [{"person": row["person"], "name": person_name(names, row["person"]), **row} for row in found]
    if as_json:
        print_json(found)
    else:
        _print(project_id, [row | {"person": row.get("name", row["person"])} for row in found])


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


def _accuracy_cells(row: Mapping[str, Any]) -> dict[str, object]:
    """Return the cells of the table of accuracy by column; the sentences below the table have the reasons."""
    from feedback.reports.figures import figure_text, measure_text, points_text, share_text
    from ml_backend.number_format import UNKNOWN, format_count

    weakest, onboarding = row["weakest_label"], row["onboarding"]
    progress = onboarding and f"{format_count(onboarding['answered'])} of {format_count(onboarding['total'])}"
    return {
        "person": row["person"],
        "answers": format_count(row["answers"]),
        "accuracy": figure_text(row["accuracy"]) if row["accuracy"] else UNKNOWN,
        "distance": measure_text(row["distance"]),
        "weakest label": f"{weakest['label']} {share_text(weakest)}" if weakest else UNKNOWN,
        "onboarding": f"{progress}: {share_text(onboarding['accuracy'])}" if onboarding else UNKNOWN,
        "anchoring": points_text(row["anchoring"]),
    }


def _work_cells(row: Mapping[str, Any]) -> dict[str, object]:
    """Return the cells of the table of work: time, and how hours and practice change accuracy."""
    from feedback.reports.figures import measure_text, points_text, share_text
    from ml_backend.number_format import UNKNOWN, format_number

    longest = max(row["time_share"].items(), key=lambda pair: pair[1]["value"], default=None)
    return {
        "person": row["person"],
        "hours": format_number(row["hours"]),
        "per hour": measure_text(row["per_hour"]),
        "median s": measure_text(row["median_s"]),
        "most time on": f"{longest[0]} {share_text(longest[1])}" if longest else UNKNOWN,
        "later hours": points_text(row["by_hour"] and row["by_hour"]["change"]),
        "with practice": points_text(row["by_practice"] and row["by_practice"]["change"]),
    }
