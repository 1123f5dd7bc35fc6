"""Bringing a database to the newest revision, forwards only, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text

from feedback.errors import SchemaError
from feedback.store.database.engine import Database
from feedback.store.log import replay
from feedback.store.tables.main_tables import REVISION

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory


_DERIVED_ANEW = "0005"  # the last revision that changed what the log projects to


def migrate(database: Database) -> None:
    """Create or upgrade the tables; quick where nothing is to be done, safe where several processes start at once.

    Raises SchemaError for a database that a newer version has written.
    """
    with database.read() as connection:
        if revision(connection) == REVISION:
            return
    with database.write() as connection:
        database.lock(connection, "migrate")
        found = revision(connection)
        upgrade(connection)
        if "" < found < _DERIVED_ANEW:
            for project in replay.projects(connection):
                replay.rebuild(database, project)  # joins this transaction


def revision(connection: Connection) -> str:
    """Give the revision that a database is of; "" for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def upgrade(connection: Connection, *, to: str = REVISION) -> None:
    """Run the migrations up to a revision inside the transaction of this connection."""
    # reason: alembic takes a fifth of a second to import, and only a first start or an upgrade needs it
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    found = revision(connection)
    if found and found not in _known(script):
        raise SchemaError(f"the database is of revision {found!r}; this version knows up to {REVISION!r}.")

    def steps(current: Any, _context: object) -> Iterable[Any]:
        return script._upgrade_revs(to, current)  # noqa: SLF001  # what Alembic's own `upgrade` command calls

    with EnvironmentContext(config, script, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()


def _known(script: ScriptDirectory) -> set[str]:
    return {one.revision for one in script.walk_revisions()}
