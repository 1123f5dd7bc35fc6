"""Archives of arrays and one JSON document in skops format: equal content gives equal bytes, and no file runs code."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from ml_backend.errors import ArtefactError

Arrays = Mapping[str, NDArray[Any]]

_SCHEMA = "schema.json"
_MAX_BYTES = 1 << 30  # unpacked; nothing is compressed, so that this is the size of the file, too
_MAX_SCHEMA_BYTES = 16 << 20
_MAX_ENTRIES = 1_000
_KINDS = "biuf"  # booleans, integers, floats: arrays of numbers only
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date that a zip allows
_FILE = re.compile(r"\d{1,9}\.npy")

# The allow-list: (loader, module, class). None of these loaders imports or calls anything that the file names.
_DICT = ("DictNode", "builtins", "dict")
_TEXT = ("JsonNode", "builtins", "str")
_ARRAY = ("NdArrayNode", "numpy", "ndarray")


def write_archive(document: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Pack a JSON document and arrays as canonical bytes of skops; ArtefactError for arrays of other than numbers."""
    # reason: 160 MB and 1.5 s of imports that only training needs
    from skops.io import dumps

    for name, array in arrays.items():
        if array.dtype.kind not in _KINDS:
            raise ArtefactError(f"array {name!r} holds {array.dtype}; a model may hold only numbers.")
    ordered = {name: np.array(arrays[name], order="C") for name in sorted(arrays)}  # copies: no two share an object
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _canonical(dumps({"document": text, "arrays": ordered}))


def read_archive(data: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return the document and arrays that `write_archive` packed; ArtefactError for any other bytes.

    The few node types of the allow-list are read by the code below. skops' own loader imports the types that a file
    names, and trusting `get_untrusted_types(file)` would run what the author of the file chose.
    """
    try:
        with ZipFile(io.BytesIO(data)) as archive:
            _check_size(archive)
            root = _checked(json.loads(archive.read(_SCHEMA)), _DICT)["content"]
            document = json.loads(json.loads(_checked(root["document"], _TEXT)["content"]))
            nodes = _checked(root["arrays"], _DICT)["content"]
            arrays = {str(name): _array(archive, _checked(node, _ARRAY)) for name, node in nodes.items()}
    except (BadZipFile, KeyError, ValueError, TypeError, AttributeError, EOFError, OSError, RecursionError) as error:
        # these are what zipfile and numpy raise on truncated or altered bytes
        raise ArtefactError(f"the archive cannot be read: {type(error).__name__}: {str(error)[:200]}") from error
    if not isinstance(document, dict):
        raise ArtefactError("the archive holds no document.")
    return document, arrays


def _check_size(archive: ZipFile) -> None:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES or sum(entry.file_size for entry in entries) > _MAX_BYTES:
        raise ArtefactError(f"the archive is larger than {_MAX_ENTRIES} entries or {_MAX_BYTES} bytes.")
    if any(entry.compress_type != ZIP_STORED for entry in entries):
        raise ArtefactError("the archive is compressed; an uncompressed one is wanted, which cannot unpack to more.")
    if archive.getinfo(_SCHEMA).file_size > _MAX_SCHEMA_BYTES:
        raise ArtefactError("the archive's schema is too large.")


def _array(archive: ZipFile, node: Mapping[str, Any]) -> NDArray[Any]:
    if node["type"] != "numpy" or not _FILE.fullmatch(node["file"]):
        raise ArtefactError("an array of the archive is not a plain .npy file.")
    array: NDArray[Any] = np.load(io.BytesIO(archive.read(node["file"])), allow_pickle=False)
    if array.dtype.kind not in _KINDS:
        raise ArtefactError(f"an array of the archive holds {array.dtype}; a model may hold only numbers.")
    return array


def _checked(node: Mapping[str, Any], wanted: tuple[str, str, str]) -> Mapping[str, Any]:
    loader, module, name = (node[key] for key in ("__loader__", "__module__", "__class__"))
    if (loader, module, name) != wanted:
        raise ArtefactError(
            f"the archive holds {module}.{name} (by {loader}); only {wanted[1]}.{wanted[2]} is allowed at this place.",
            hint="This file was altered or written by another program. Train again; do not load it by other means.",
        )
    return node


def _canonical(data: bytes) -> bytes:
    """Number nodes and files in the order of the sorted content; skops names them by memory address."""
    numbers: dict[int, int] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "__id__" in node:
            number = numbers.setdefault(node["__id__"], len(numbers) + 1)
            node = node | {"__id__": number}
            if "file" in node:
                files[f"{number}.npy"] = node["file"]
                node["file"] = f"{number}.npy"
        return {key: renumber(value) for key, value in node.items()}

    files: dict[str, str] = {}
    out = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as source, ZipFile(out, "w", ZIP_STORED) as target:
        schema = renumber(json.loads(source.read(_SCHEMA)))
        schema.pop("_skops_version", None)  # the protocol number says how to read it
        entries = {name: source.read(file) for name, file in files.items()}
        entries[_SCHEMA] = json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
        for name in sorted(entries):
            target.writestr(ZipInfo(name, _EPOCH), entries[name])
    return out.getvalue()
