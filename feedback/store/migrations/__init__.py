"""Creation of a new database, and upgrades of an older one to the newest revision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from feedback.errors import SchemaError
from feedback.store.database.engine import Database
from feedback.store.database.row_mapping import metadata
from feedback.store.tables import main_tables, review_tables, routing_tables
from feedback.store.tables.main_tables import REVISION

VERSIONS = Path(__file__).parent
_TABLES = (main_tables, review_tables, routing_tables)  # all share one metadata


def migrate(database: Database) -> None:
    """Create the tables of a new database, or upgrade those of an older one, in one transaction.

    Several processes may start at once. A current database costs one query.

    Raises
    ------
    SchemaError
        A newer version has written the database.
    """
    with database.read() as connection:
        if read_revision(connection) == REVISION:
            return
    with database.write() as connection:
        database.lock(connection, "migrate")
        upgrade(connection)


def read_revision(connection: Connection) -> str:
    """Return the revision that a database has; "" for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def upgrade(connection: Connection, *, to: str = REVISION, versions: Path = VERSIONS) -> None:
    """Bring a database to a revision inside the transaction of this connection.

    An empty database is created from the table definitions, which are the newest revision, and only stamped. So the
    definitions stand in one place, and a revision says what it changes in a database that exists.
    """
    # reason: alembic takes a fifth of a second to import, and only a first start or an upgrade needs it
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(VERSIONS).replace("%", "%%"))
    script = ScriptDirectory(str(VERSIONS), version_locations=[str(versions)])
    found = read_revision(connection)
    if found and found not in {revision.revision for revision in script.walk_revisions()}:
        raise SchemaError(f"the database has revision {found!r}; this version knows up to {REVISION!r}.")
    if not found:
        metadata.create_all(connection)

    def steps(current: Any, _context: object) -> Iterable[Any]:
        if found:
            return script._upgrade_revs(to, current)  # noqa: SLF001  # what Alembic's own `upgrade` command calls
        return script._stamp_revs(to, current)  # noqa: SLF001  # what its `stamp` command calls

    with EnvironmentContext(config, script, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection, transactional_ddl=True)
        environment.run_migrations()
