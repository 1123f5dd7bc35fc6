from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from sqlalchemy import update

from feedback.errors import LeaseLost
from feedback.store import Store
from feedback.store.tables import main_tables
from ml_backend.errors import ArtefactError, UnknownName
from ml_backend.registry import Artefact, digest_of, unpack
from ml_backend.testing import check_registry
from tests.support.clock import Clock


def _artefact(text: str) -> Artefact:
    data = text.encode()
    return Artefact(data, digest_of(data))


def test_the_registry_keeps_its_contract(store: Store) -> None:
    check_registry(lambda: store.registry)


def test_a_promotion_and_its_verdict_are_one(store: Store) -> None:
    store.registry.add("1", "m1", _artefact("one"), {"rows": 10})
    store.registry.promote("1", "m1", verdict={"reason": "beats the prior"})

    champion, verdict = store.registry.champion("1"), store.records.get_latest_record("1", "verdict")
    assert champion is not None
    assert verdict is not None
    assert (champion.version, verdict.body["reason"]) == ("m1", "beats the prior")
    assert store.registry.card("1", "m1") == {"rows": 10}

    with pytest.raises(UnknownName):
        store.registry.promote("1", "m2", verdict={"reason": "it does not exist"})
    assert len(store.records.list_records("1", "verdict")) == 1
    assert store.registry.champion("1") == champion


def test_nothing_is_promoted_once_the_lease_is_lost(store: Store, clock: Clock) -> None:
    for version in ("m1", "m2"):
        store.registry.add("1", version, _artefact(version), {})
    store.registry.promote("1", "m1")
    store.jobs.request_job("1", "turn")
    slow = store.jobs.claim_job("slow", lease_s=10.0)
    clock.now_s += 11
    assert store.jobs.claim_job("quick", lease_s=10.0)
    assert slow

    with pytest.raises(LeaseLost), store.transaction(slow):
        store.registry.promote("1", "m2", verdict={"reason": "late"})
    champion = store.registry.champion("1")
    assert champion is not None
    assert champion.version == "m1"
    assert store.records.list_records("1", "verdict") == []


def test_a_tampered_artefact_is_refused_where_it_is_unpacked(store: Store) -> None:
    store.registry.add("1", "m1", _artefact("one"), {})
    with store._database.write() as connection:
        connection.execute(update(main_tables.model).values(data=b"two"))

    stored = store.registry.artefact("1", "m1")
    with pytest.raises(ArtefactError):
        unpack(stored.data, stored.digest)


def test_two_hosts_see_one_champion(url: str, opened: Callable[[str], Store]) -> None:
    first_host, second_host = opened(url), opened(url)
    project = uuid4().hex
    first_host.registry.add(project, "m1", _artefact("one"), {})
    first_host.registry.promote(project, "m1")

    assert second_host.registry.champion(project) == first_host.registry.champion(project)
    assert second_host.registry.versions(project) == ["m1"]
