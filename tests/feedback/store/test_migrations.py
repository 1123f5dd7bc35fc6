from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text, update
from sqlalchemy.sql import column, table

import feedback.store.migrations as migrations
from feedback.errors import SchemaError, StoreError
from feedback.store import Store, open_store
from feedback.store.database.row_mapping import metadata
from feedback.store.tables import main_tables
from tests.support import stores
from tests.support.make_events import annotation_event, task, task_events


@pytest.fixture(params=stores.BOTH)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that is not migrated yet."""
    return stores.bare(request, tmp_path / "store.db")


def test_migrations_lead_to_the_tables_that_the_code_speaks_of(store: Store) -> None:
    with store._database.read() as connection:
        ours = {
            "include_object": lambda _thing, name, *_: name != main_tables.inbox.name
        }  # a queue, made where it is missing
        assert compare_metadata(MigrationContext.configure(connection, opts=ours), metadata) == []
        assert migrations.read_revision(connection) == main_tables.REVISION


def test_the_newest_migration_is_the_one_that_the_code_names() -> None:
    named = sorted(file.name[1:5] for file in migrations.VERSIONS.glob("r*.py"))

    assert named[-1] == main_tables.REVISION


def test_a_reopened_store_has_its_former_content(url: str, opened: Callable[[str], Store]) -> None:
    opened(url).append([annotation_event(5, "A")])

    assert len(opened(url).votes.list_votes("1")) == 1


def test_a_store_of_a_newer_version_is_refused(url: str, opened: Callable[[str], Store]) -> None:
    with opened(url)._database.write() as connection:
        connection.execute(update(table("alembic_version", column("version_num"))).values(version_num="9999"))

    with pytest.raises(SchemaError, match="'9999'"):
        open_store(url)


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("alembic.runtime.migration.HeadMaintainer.update_to_step", fail)
        with pytest.raises(ZeroDivisionError):
            open_store(url)

    store = open_store(url)  # would find tables half made
    store.append([annotation_event(5, "A")])
    store.close()


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_store(url: str) -> None:
    code = (
        "import sys; from feedback.store import open_store; "
        "print(open_store(sys.argv[1]).secrets.get_or_create_secret('draws'))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
        for _ in range(3)
    ]
    secrets = {process.communicate(timeout=60)[0] for process in started}

    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(secrets) == 1


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("", "cannot be read"),
        ("no url", "cannot be read"),
        ("mysql://host/db", "the database 'mysql' is not supported"),
        ("sqlite://", "in memory is lost"),
        ("sqlite:////no/such/folder/store.db", "unable to open"),
    ],
)
def test_a_url_that_cannot_be_opened_is_an_error_that_names_what_is_wanted(url: str, wanted: str) -> None:
    with pytest.raises(StoreError, match=wanted):
        open_store(url)


def test_a_password_is_in_no_message() -> None:
    with pytest.raises(StoreError) as refused:
        open_store("postgresql+psycopg://me:hunter2@127.0.0.1:1/none")

    assert "hunter2" not in f"{refused.value} {refused.value.hint} {refused.value.__cause__}"


def test_parameters_are_in_no_message(store: Store) -> None:
    with pytest.raises(StoreError) as refused, store._database.write() as connection:
        connection.execute(main_tables.secret.insert(), [{"name": "x", "value": "hunter2"}] * 2)

    assert "hunter2" not in f"{refused.value} {refused.value.__cause__}"


@pytest.mark.parametrize(("durability", "wanted"), [("full", 2), ("normal", 1)])
def test_sqlite_syncs_each_commit_unless_durability_is_normal(tmp_path: Path, durability: str, wanted: int) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", durability=durability)  # type: ignore[arg-type]
    with store._database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == wanted
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


_SECOND_REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("secret", sa.Column("note", sa.Text(), nullable=False, server_default="none"))
"""


def test_a_later_revision_upgrades_a_store_of_the_first_one_and_keeps_its_data(
    url: str, opened: Callable[[str], Store], tmp_path: Path
) -> None:
    versions = tmp_path / "versions"
    shutil.copytree(migrations.VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    (versions / "r0002_note.py").write_text(_SECOND_REVISION)
    store = opened(url)
    store.append([*task_events(task(1)), annotation_event(5, "A")])
    secret = store.secrets.get_or_create_secret("draws")

    with store._database.write() as connection:
        migrations.upgrade(connection, to="0002", versions=versions)
        assert migrations.read_revision(connection) == "0002"
        assert connection.execute(text("SELECT value, note FROM secret WHERE name = 'draws'")).one() == (secret, "none")

    assert [vote.annotation for vote in store.votes.list_votes("1")] == [5]
    assert store.verify() == {"events": 2, "chain": "ok", "projection": "ok"}
    with pytest.raises(SchemaError, match="'0002'"):  # the present version has no such revision
        open_store(url)


def test_an_upgrade_that_fails_keeps_the_store_as_it_was(
    url: str, opened: Callable[[str], Store], tmp_path: Path
) -> None:
    versions = tmp_path / "versions"
    shutil.copytree(migrations.VERSIONS, versions, ignore=shutil.ignore_patterns("__pycache__"))
    (versions / "r0002_note.py").write_text(_SECOND_REVISION + "    raise ZeroDivisionError\n")
    store = opened(url)

    with pytest.raises(ZeroDivisionError), store._database.write() as connection:
        migrations.upgrade(connection, to="0002", versions=versions)

    with store._database.read() as connection:
        assert migrations.read_revision(connection) == "0001"
        assert "note" not in {column["name"] for column in inspect(connection).get_columns("secret")}
