"""hitl backup / restore-backup: the whole store as one file, taken while it is in use, put back when it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it; an existing file is replaced.")],
) -> None:
    """Copy the store into a file while the service runs: everything that was acknowledged before is in it.

    The file holds people's answers, the secrets of the store and the token of our bot: keep it as you keep those.
    """
    from feedback.app.bootstrap import opened, settings_from_environment
    from feedback.errors import StoreError

    if file.is_dir() or not file.absolute().parent.is_dir():
        raise StoreError(f"{file} cannot be written.", hint="Give a file in a folder that exists.")
    with opened(settings_from_environment()) as store:
        store.backup(file)
        left = len(store.get_inbox_status().problems)
    typer.echo(f"{file}: {file.stat().st_size:,} bytes; `hitl restore-backup {file}` puts it back.")
    if left:
        typer.echo(f"{left} webhook(s) that cannot be taken in are not in it; `hitl status` says why.")


def restore_backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `hitl backup` wrote.")],
) -> None:
    """Verify a backup and put it in the place of the store; the service must be stopped, the old store is kept."""
    from feedback.app.bootstrap import put_back, settings_from_environment

    done = put_back(settings_from_environment(), file)
    typer.echo(f"Restored {done.events} events; the chain is whole and the projections follow from it.")
    if done.kept is not None:
        typer.echo(f"The store that was replaced is {done.kept}.")
    if done.forgotten is None:
        typer.echo("What it knew cannot be read: run `hitl forget` again for all who were forgotten since the backup.")
    elif done.forgotten:
        typer.echo(f"{done.forgotten} annotations and tasks were forgotten since the backup; they are forgotten again.")
    typer.echo("The worker sweeps every project at its start: Label Studio knows what happened since the backup.")
