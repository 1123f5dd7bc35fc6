import json
import multiprocessing

import pytest

from ml_backend.errors import ArtefactError, BackendError
from ml_backend.registry import Artefact, FolderRegistry, ModelRef, digest_of
from ml_backend.testing import ContractBroken, check_registry


def artefact(data):
    return Artefact(data, digest_of(data))


def test_the_folder_keeps_the_contract(tmp_path):
    check_registry(lambda: FolderRegistry(tmp_path / "models"))


def test_the_contract_notices_a_registry_that_forgets_promotions(tmp_path):
    class Forgetful(FolderRegistry):
        def promote(self, project, version):
            self.artefact(project, version)

    with pytest.raises(ContractBroken, match="sees a promotion"):
        check_registry(lambda: Forgetful(tmp_path))


def test_the_contract_notices_a_registry_that_overwrites(tmp_path):
    class Careless(FolderRegistry):
        def versions(self, project):
            return [] if project == "7" and self.writing else super().versions(project)

        def add(self, project, version, artefact, card):
            self.writing = True
            super().add(project, version, artefact, card)
            self.writing = False

        writing = False

    with pytest.raises(ContractBroken, match="never change"):
        check_registry(lambda: Careless(tmp_path))


@pytest.mark.parametrize("project", ["../../outside", "a/b", "..", ".", "", "a\0b", "x" * 500, "=", "é", "CON "])
def test_no_project_or_version_leaves_the_folder(tmp_path, project):
    registry = FolderRegistry(tmp_path / "models")

    registry.add(project, project, artefact(b"m"), {})
    registry.promote(project, project)

    assert registry.champion(project) == ModelRef(project, digest_of(b"m"))
    assert registry.versions(project) == [project]
    assert [file.name for file in tmp_path.iterdir()] == ["models"]
    assert len(list((tmp_path / "models").iterdir())) == 1


def test_a_half_added_version_does_not_exist(tmp_path):
    registry = FolderRegistry(tmp_path)
    registry.add("7", "m1", artefact(b"m"), {})
    (tmp_path / "7" / "m2.skops").write_bytes(b"killed before the card was written")

    assert registry.versions("7") == ["m1"]
    with pytest.raises(BackendError, match="no model 'm2'; it has: m1"):
        registry.promote("7", "m2")
    registry.add("7", "m2", artefact(b"again"), {})
    assert registry.artefact("7", "m2").data == b"again"


def test_a_garbled_champion_is_an_error_with_a_hint(tmp_path):
    registry = FolderRegistry(tmp_path)
    registry.add("7", "m1", artefact(b"m"), {})
    registry.promote("7", "m1")
    (tmp_path / "7" / "champion.json").write_text("{")

    with pytest.raises(ArtefactError) as caught:
        registry.champion("7")
    assert "Promote" in caught.value.hint


def test_the_card_is_stored_with_the_bytes(tmp_path):
    FolderRegistry(tmp_path).add("7", "m1", artefact(b"m"), {"rows": 12})

    assert json.loads((tmp_path / "7" / "m1.json").read_text())["card"] == {"rows": 12}


def _promote_many(path, version):
    registry = FolderRegistry(path)
    for _ in range(40):
        registry.promote("7", version)


@pytest.mark.slow
def test_a_reader_always_sees_a_whole_champion_while_others_promote(tmp_path):
    registry = FolderRegistry(tmp_path)
    allowed = set()
    for version in ("m1", "m2"):
        registry.add("7", version, artefact(version.encode()), {})
        allowed.add(ModelRef(version, digest_of(version.encode())))
    registry.promote("7", "m1")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_promote_many, args=(tmp_path, version)) for version in ("m1", "m2")]
    for writer in writers:
        writer.start()

    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(registry.champion("7"))
    for writer in writers:
        writer.join()

    assert seen <= allowed
    assert [writer.exitcode for writer in writers] == [0, 0]
