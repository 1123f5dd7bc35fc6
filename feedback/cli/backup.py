"""hitl backup, hitl restore-backup: copy the store into one file, and put it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup file. An existing file is replaced.")],
) -> None:
    """Copy the store into a file. The service may keep running.

    The file holds all stored data: people's answers, secrets, and the token of the service account.
    Protect it like a password.
    """
    from feedback.app.bootstrap import load_settings, opened_store
    from feedback.errors import StoreError

    if file.is_dir() or not file.absolute().parent.is_dir():
        raise StoreError(f"{file} cannot be written.", hint="Give a file in an existing folder.")
    with opened_store(load_settings()) as store:
        store.backup(file)
        left = len(store.get_inbox_status().problems)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes; `hitl restore-backup {file}` restores it.")
    if left:
        typer.echo(f"{left} webhook(s) that could not be processed are not in it; `hitl status` shows why.")


def restore_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file written by `hitl backup`.")],
) -> None:
    """Verify a backup and replace the store by it. Stop the service first. The old store is kept."""
    from feedback.app.bootstrap import load_settings, restore_backup

    done = restore_backup(load_settings(), file)
    typer.echo(f"Restored {done.events} events; the hash chain is intact and the tables match the event log.")
    if done.kept is not None:
        typer.echo(f"The old store is {done.kept}.")
    if done.forgotten is None:
        typer.echo(
            "The old store cannot be read. Run `hitl forget` again for everybody who was erased since the backup."
        )
    elif done.forgotten:
        typer.echo(f"{done.forgotten} annotations and tasks were erased since the backup; they are erased again.")
    typer.echo("The worker reads every project from Label Studio at its start, to get what happened since the backup.")
