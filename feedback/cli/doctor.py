"""hitl doctor: problems of the installation, of the connection to Label Studio, and of a project."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from feedback.app.bootstrap import load_settings, make_client, opened_store
from feedback.app.project_names import find_number, require_project
from feedback.cli.arguments import AsJson, project_argument
from feedback.cli.terminal import echo, print_json
from feedback.errors import StoreError
from ml_backend.errors import LabelStudioError
from ml_backend.number_format import format_counted

if TYPE_CHECKING:
    from feedback.app.doctor import Examination
    from feedback.settings import Settings
    from feedback.store import Store
    from ml_backend.labelstudio.doctor import Finding


def doctor(
    project: Annotated[str, project_argument("Default: check only the installation.")],
    as_json: AsJson = False,
) -> None:
    """Check the installation and a project for known problems. Exit code 1 if there is an error."""
    from feedback.app.doctor import Examination, examine
    from ml_backend.labelstudio.doctor import Finding

    settings = load_settings()
    try:
        with opened_store(settings) as store:
            project = project and _find(settings, store, project)
            found = examine(settings, store, project)
    except StoreError as error:
        found = Examination([Finding("store", "error", str(error), error.hint)])
    if as_json:
        print_json({"findings": found.findings, "passed": found.passed})
    else:
        print_examination(found, f"project {project}" if project else "the installation")
    if found.has_error:
        raise SystemExit(1)


def _find(settings: Settings, store: Store, project: str) -> str:
    """Return the number of a project; Label Studio knows those that are not connected."""
    if not settings.has_label_studio:
        return project if project.isdecimal() else require_project(store, project).id
    # reason: the checks take a quarter of a second to import
    from feedback.app.doctor import EXAMINATION_S

    try:
        with make_client(settings, timeout_s=EXAMINATION_S) as client:
            return find_number(store, client, project)
    except LabelStudioError:
        if project.isdecimal():
            return project  # the examination says why Label Studio does not answer
        raise


def print_examination(found: Examination, examined: str) -> None:
    """Print what passed and what was found, with their number."""
    for holds in found.passed:
        echo(f"✓ {holds}", fg=typer.colors.GREEN)
    for line in describe_findings(found.findings):
        colour = typer.colors.RED if line.startswith("error") else typer.colors.YELLOW
        echo(line, fg=None if line.startswith(" ") else colour)
    errors = sum(finding.severity == "error" for finding in found.findings)
    count = f"{format_counted(errors, 'error', 'errors')}, {len(found.findings) - errors} other, in {examined}."
    count = count if found.findings else f"No problem found in {examined}."
    echo(f"{count} {found.next_step}".rstrip())


def describe_findings(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield each problem in up to three lines, without line breaks inside, so that addresses can be copied."""
    for finding in findings:
        yield f"{finding.severity}  {finding.name}"
        yield f"  {finding.what}"
        if finding.fix:
            yield f"  → {finding.fix}"
