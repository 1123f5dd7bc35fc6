"""Images in a ZIP: found by the names that people write, and no entry can do harm."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from ml_backend.features.image_archive import ArchiveError, ImageArchive
from ml_backend.features.image_decoding import MediaError


def archive(folder: Path, files: dict[str, bytes], **options: int) -> ImageArchive:
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(name, data)
    return ImageArchive(path, **options)


def test_a_file_is_found_by_its_name_with_fewer_or_more_folders(tmp_path: Path):
    found = archive(tmp_path, {"set/a/1.png": b"1", "set/b/1.png": b"2", "c.png": b"3", "__MACOSX/set/._c.png": b""})

    assert found.find("set/a/1.png") == "set/a/1.png"
    assert found.find("b/1.png") == "set/b/1.png"
    assert found.find("data\\train\\c.png") == "c.png"
    assert found.find("1.png") is None  # two files may be meant
    assert found.find("d.png") is None
    assert found.fetch("set/b/1.png") == b"2"


def test_a_name_of_a_mac_is_found_by_its_letters(tmp_path: Path):
    assert archive(tmp_path, {"cafe\u0301.png": b"1"}).find("caf\xe9.png") == "caf\xe9.png"


def test_hostile_entries_are_only_ever_names(tmp_path: Path):
    found = archive(
        tmp_path, {"../../etc/passwd": b"x", "/etc/shadow": b"y", "bomb.png": b"\0" * 10_000}, max_bytes=999
    )

    assert found.fetch("../../etc/passwd") == b"x"
    assert [path.name for path in tmp_path.iterdir()] == ["images.zip"]  # nothing was extracted
    with pytest.raises(MediaError, match="more than 999 bytes"):
        found.fetch("bomb.png")
    with pytest.raises(MediaError, match="has no file"):
        found.fetch("/etc/hostname")


def test_an_entry_that_lies_is_encrypted_or_damaged_is_one_unreadable_image(tmp_path: Path):
    path = archive(tmp_path, {"a.png": b"1" * 500, "b.png": b"2" * 500}).path
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\1\2")
    raw[central + 8] |= 1  # the flag of an encrypted entry
    struct.pack_into("<I", raw, raw.index(b"PK\1\2", central + 4) + 16, 7)  # another checksum
    path.write_bytes(raw)

    found = ImageArchive(path)
    for name in ("a.png", "b.png"):
        with pytest.raises(MediaError, match="cannot be unpacked"):
            found.fetch(name)


def test_a_file_that_is_no_archive_says_so(tmp_path: Path):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(ArchiveError, match="cannot be read as a ZIP: File is not a zip file"):
        ImageArchive(tmp_path / "x.zip")
    with pytest.raises(ArchiveError, match="No such file"):
        ImageArchive(tmp_path / "y.zip")
