"""hitl history, hitl restore: all versions of the annotations of a task, and how to get an old one back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from feedback.app.bootstrap import list_names, load_settings, make_client, opened_project, opened_store
from feedback.app.project_names import find_project_of
from feedback.cli.arguments import AsJson, NamedProject, Task, project_argument
from feedback.cli.terminal import echo, print_json, print_table

if TYPE_CHECKING:
    from feedback.store import AnnotationVersion


def history(
    project: Annotated[str, project_argument("Default: the project that has the task.")],
    task: Task,
    as_json: AsJson = False,
) -> None:
    """Show all annotations of a task, including changed and deleted versions, and which do not count and why."""
    from feedback.reports.uncounted_answers import list_uncounted

    settings = load_settings()
    with opened_store(settings) as store:
        row = find_project_of(store, project, task)
        versions = store.events.list_task_history(row.id, task)
        uncounted = {answer.annotation: answer.why for answer in list_uncounted(store, row, task)}
        names = {} if as_json else list_names(settings, store)
    if as_json:
        print_json([asdict(version) | {"not_counted": uncounted.get(version.annotation, "")} for version in versions])
        return
    if not versions:
        echo(f"Task {task} has no annotation.")
        return
    print_table((_version_cells(version, uncounted, names) for version in versions), title=f"Task {task}")
    echo(f"`hitl restore {row.id} VERSION` restores a version.")


def restore(
    project: NamedProject,
    versions: Annotated[list[int], typer.Argument(metavar="VERSION", help="Version numbers from `hitl history`.")],
    as_json: AsJson = False,
) -> None:
    """Restore old versions of annotations, each as a new annotation by the same person. Existing ones stay."""
    from feedback.labelling_platform import restore

    settings = load_settings()
    done = {}
    with opened_project(project, settings) as (store, row), make_client(settings, store) as client:
        for version in versions:
            done[version] = restore.restore(store, client, row.id, version)
            if not as_json:  # at once: a later one may fail
                echo(f"Version {version} is now annotation {done[version]}.")
    if as_json:
        print_json({"project": row.id, "annotations": done})


def _version_cells(
    version: AnnotationVersion, uncounted: Mapping[int, str], names: Mapping[int, str]
) -> dict[str, object]:
    from feedback.reports.formatting import person_name

    body: Mapping[str, Any] = version.body or {}
    return {
        "version": version.seq,
        "annotation": version.annotation,
        "action": "skipped" if version.action == "saved" and body.get("was_cancelled") else version.action,
        "person": person_name(names, body["person"]) if body.get("person") else "",
        "answer": _answer_text(version),
        "time": version.version or datetime.fromtimestamp(version.received_s, UTC).isoformat(timespec="seconds"),
        "source": version.source,
        "not counted": uncounted.get(version.annotation, ""),
    }


def _answer_text(version: AnnotationVersion) -> str:
    """Return a result in words, shortened."""
    from ml_backend.codecs import describe_result

    if version.body is None:
        return "" if version.action == "deleted" else "(erased)"
    result = version.body.get("result")
    return describe_result(result)[:200] if isinstance(result, list) else "(unreadable)"
