"""A model that was damaged in the store: the one before serves, the loop goes on, and the next training mends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from feedback.store import Store
from feedback.store.tables import main_tables
from tests.support.connected_project import ConnectedProject


def champions(connected_project: ConnectedProject, n: int) -> list[str]:
    """Teach until n models have been promoted; gives their versions."""
    found: list[str] = []
    connected_project.turn()
    for _ in range(40):
        connected_project.label(15)
        version = connected_project.turn().version
        if version and version not in found:
            found.append(version)
        if len(found) == n:
            return found
    raise AssertionError(f"only {found} were promoted")


def damage(store: Store, *versions: str) -> None:
    """Alter the last byte of some models, as a bad disk or a bad person would."""
    table = main_tables.model
    with store._database.write() as connection:
        for version in versions:
            data = connection.execute(select(table.c.data).where(table.c.version == version)).scalar_one()
            broken = data[:-1] + bytes([data[-1] ^ 1])
            connection.execute(table.update().where(table.c.version == version).values(data=broken))


@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_damaged_champion_is_reported_and_replaced_by_the_next_training(
    connected_project: ConnectedProject, tmp_path: Path, all_of_them: bool
):
    former, champion = champions(connected_project, 2)
    damage(connected_project.store, champion, *([former] if all_of_them else []))
    connected_project.loop = connected_project.new_loop()  # as after a restart

    turn = connected_project.turn()
    serves = "" if all_of_them else former
    assert turn.version == serves
    assert any("the champion is not loaded" in note and serves in note for note in turn.notes)
    for _ in range(12):
        connected_project.label(15)
        turn = connected_project.turn()
        if turn.version not in ("", former):
            break

    assert turn.version not in ("", former, champion)
    assert not any("not loaded" in note for note in turn.notes)
