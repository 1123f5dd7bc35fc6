"""Proof 1: after any kill, acknowledged data exist, the chain is intact, and one champion serves."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from feedback.store import Store, open_store
from feedback.store.migrations import read_revision
from feedback.store.tables.main_tables import REVISION
from ml_backend.registry import unpack
from tests.support import postgres, stores
from tests.support.proof import Annotators, Process, Web, size, until, whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
_LONGEST_S = 0.8  # from the moment that it is at work to the kill


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    with postgres.running() as running:
        yield running


@pytest.fixture(params=stores.BOTH)
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    numbers = iter(range(100_000))
    if request.param == "sqlite":
        return lambda: f"sqlite:///{tmp_path / f'store-{next(numbers)}.db'}"
    made: postgres.Server = request.getfixturevalue("server")
    return made.database


def test_kills_of_ingest_turn_and_promote(new_database: Callable[[], str], tmp_path: Path) -> None:
    url, chance = new_database(), random.Random(size(ci=1, full=100))
    kills = size(ci=6, full=70)
    env = {"HITL_DATA_DIR": str(tmp_path / "data"), "HITL_DATABASE_URL": url, "HITL_WEB_WORKERS": "1"}
    open_store(url).close()
    web = Web(env=env, log=tmp_path / "web.log")
    worker = Process("tests.support.actor", "work", url, str(tmp_path), env={}, log=tmp_path / "worker.log")
    promoter = Process("tests.support.actor", "promote", url, str(tmp_path), env={}, log=tmp_path / "promoter.log")
    at_work: dict[Process, Callable[[], int]] = {
        web: lambda: len(people.acknowledged),
        worker: lambda: _lines(worker, "turn"),
        promoter: lambda: _lines(promoter, "promoted"),
    }
    with web, worker, promoter, Annotators(web) as people:
        for number in range(kills):
            victim = list(at_work)[number % len(at_work)]
            done = at_work[victim]()
            until(lambda: at_work[victim]() > done, f"{victim.words} does nothing", victim, within_s=90.0)  # noqa: B023
            time.sleep(chance.uniform(0, _LONGEST_S))
            victim.kill()
            victim.start()
        until(lambda: _lines(worker, "promoted: ") > 0, "no model was promoted", worker, within_s=60.0)

    store = open_store(url)
    try:
        whole(store)
        votes = {vote.annotation for vote in store.votes.list_votes("1")}
        assert people.acknowledged
        assert people.acknowledged <= votes
        for project in ("1", "2"):
            _one_champion(url, store, project)
        promoted = [
            int(line.split()[1]) for line in promoter.log.read_text().splitlines() if line.startswith("promoted")
        ]
        champion = store.registry.champion("2")
        assert champion is not None
        assert int(champion.version[1:]) >= max(promoted)
    finally:
        store.close()
    print(f"{url.partition(':')[0]}: {kills} kills, {len(people.acknowledged)} acknowledged, all there")  # noqa: T201


def test_kills_of_migrations(new_database: Callable[[], str], tmp_path: Path) -> None:
    chance, kills = random.Random(2), size(ci=3, full=30)
    cut_short = 0
    for number in range(kills):
        url = new_database()
        log = tmp_path / f"migrate-{number}.log"
        with Process("tests.support.actor", "migrate", url, str(tmp_path), env={}, log=log) as migration:
            until(lambda: _lines(migration, "begun"), "it does not begin", within_s=60.0)
            time.sleep(chance.uniform(0, 0.5))
            cut_short += migration.running
            migration.kill()

        store = open_store(url)
        with store._database.read() as connection:
            assert read_revision(connection) == REVISION
        store.records.create_record("1", "finding", {})
        whole(store)
        store.close()
    assert cut_short, "every migration was over before its kill"


def _one_champion(url: str, store: Store, project: str) -> None:
    """One alias, whose artefact is whole and whose promotion is the newest that is recorded."""
    engine = create_engine(url)
    with engine.connect() as connection:
        query = text("SELECT count(*) FROM alias WHERE project = :project AND name = 'champion'")
        assert connection.execute(query, {"project": project}).scalar_one() == 1
    engine.dispose()
    champion = store.registry.champion(project)
    assert champion is not None
    assert champion.version in store.registry.versions(project)
    unpack(store.registry.artefact(project, champion.version).data, champion.digest)
    newest = next(one for one in store.records.list_records(project, "verdict", limit=100_000) if one.body["promote"])
    assert newest.body["challenger"] == champion.version


def _lines(process: Process, word: str) -> int:
    return process.log.read_text(errors="replace").count(word) if process.log.exists() else 0
