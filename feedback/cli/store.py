"""hitl store, hitl backup, hitl restore-backup: verify, rebuild, copy and restore the store; retry parked jobs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from feedback.app.bootstrap import load_settings, opened_project, opened_store
from feedback.cli.arguments import AsJson, Commands, Project
from feedback.cli.progress import report_progress
from feedback.cli.terminal import confirm, echo, print_found, print_json
from feedback.errors import FileError, StoreError
from ml_backend.number_format import format_count, format_counted

app = Commands(help="Verify or rebuild the store, and retry parked jobs.", no_args_is_help=True)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check the hash chain of each project, and that all tables match the event log. Exit code 1 if not."""
    with opened_store(load_settings()) as store:
        found = store.verify()
    if as_json:
        print_json(found)
    else:
        echo(", ".join(f"{name}: {value}" for name, value in found.items()))
    if found["chain"] != "ok" or found["projection"] != "ok":
        raise SystemExit(1)


@app.command()
def rebuild(
    check: Annotated[bool, typer.Option("--check", help="Only compare, change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rebuild the tables from the event log. Webhooks and turns wait meanwhile."""
    if not check:
        echo("Nothing else is written until this is done; new webhooks wait in the inbox.", errors=True)
    with opened_store(load_settings()) as store:
        found = store.rebuild(check=check, on_progress=lambda name, *parts: report_progress(f"project {name}", *parts))
    line = "The tables match the event log." if found.ok else f"The tables differ from the event log: {found.differs}"
    print_found(found, [line], as_json=as_json)
    if not found.ok:
        raise SystemExit(1)


@app.command()
def unpark(
    project: Project,
    kind: Annotated[
        str, typer.Option(help="The kind of job, such as turn, sweep or clean. Default: all parked jobs.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Retry parked jobs now: jobs that failed too often. `hitl status` shows why they failed."""
    with opened_project(project) as (store, row):
        parked = [job.kind for job in store.jobs.list_jobs() if (job.project, job.state) == (row.id, "parked")]
        done = [item for item in parked if kind in ("", item) and store.jobs.unpark_job(row.id, item)]
    outcome = f"{', '.join(done)} will be retried" if done else "no job is parked"
    print_found({"project": row.id, "retried": done}, [f"Project {row.id}: {outcome}."], as_json=as_json)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup file; - is standard output.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace an existing file without asking.")] = False,
    as_json: AsJson = False,
) -> None:
    """Copy the store into a file. The service may keep running. An existing file is replaced only with --yes.

    The file holds all stored data: people's answers, secrets, and the token of the service account.
    Protect it like a password.
    """
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise FileError(f"{file} cannot be written.", hint="Give a file in an existing folder.")
    if str(file) == "-":
        with opened_store(load_settings()) as store, TemporaryDirectory(prefix="hitl-backup-") as folder:
            copy = Path(folder) / "store"
            store.backup(copy)
            with copy.open("rb") as whole:
                shutil.copyfileobj(whole, sys.stdout.buffer)
        return
    with opened_store(load_settings()) as store:
        store.backup(file, may_replace=lambda: confirm(f"{file} exists. Replace it?", yes=yes))
        left = len(store.get_inbox_status().problems)
    size = file.stat().st_size
    lines = [f"{file}: {format_count(size)} bytes; `hitl restore-backup {file}` restores it."]
    if left:
        webhooks = format_counted(left, "webhook", "webhooks")
        lines += [f"Not in it: {webhooks} that could not be processed; `hitl status` shows why."]
    print_found({"file": str(file), "bytes": size, "left_out": left}, lines, as_json=as_json)


def restore_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file written by `hitl backup`.")],
    as_json: AsJson = False,
) -> None:
    """Verify a backup and replace the store by it. Stop the service first. The old store is kept."""
    from sqlalchemy.engine import make_url

    from feedback.privacy.erasure_and_access import erase_in_backup
    from feedback.store.backups import restore

    url = make_url(load_settings().store_url)
    if url.get_backend_name() != "sqlite":
        hint = "Use pg_restore for PostgreSQL; docs/operations.md shows how."
        raise StoreError("`hitl restore-backup` restores only SQLite.", hint=hint)
    done = restore(file, Path(str(url.database)), erase=erase_in_backup)
    events = format_counted(done.events, "event", "events")
    lines = [f"Restored {events}; the hash chain is intact and the tables match the event log."]
    if done.kept is not None:
        lines.append(f"The old store is {done.kept}.")
    if done.forgotten is None:
        lines.append(
            "The old store cannot be read. Run `hitl forget` again for everybody who was erased since the backup."
        )
    elif done.forgotten:
        lines.append(f"{done.forgotten} annotations and tasks were erased since the backup; they are erased again.")
    lines.append(
        "The worker reads every project from Label Studio at its start, to get what happened since the backup."
    )
    found = {"events": done.events, "old_store": str(done.kept or ""), "erased_again": done.forgotten}
    print_found(found, lines, as_json=as_json)
