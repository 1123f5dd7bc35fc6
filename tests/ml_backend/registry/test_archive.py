import io
import json
import os
import time
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import pytest
import skops.io

from ml_backend.errors import ArtefactError
from ml_backend.registry.archive import read_archive, write_archive

DOCUMENT = {"b": [1, 2.5, None], "a": "text"}
ARRAYS = {
    "w": np.arange(6, dtype=np.float32).reshape(2, 3),
    "codes": np.array([3, 1], np.uint64),
    "flags": np.array([True]),
}


def altered(change, data=None):
    """The archive with its schema changed."""
    given = ZipFile(io.BytesIO(data or write_archive(DOCUMENT, ARRAYS)))
    schema = json.loads(given.read("schema.json"))
    change(schema)
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_STORED) as made:
        for name in given.namelist():
            made.writestr(name, json.dumps(schema) if name == "schema.json" else given.read(name))
    return out.getvalue()


def node(loader, module, name, content):
    return {"__class__": name, "__module__": module, "__loader__": loader, "content": content}


def test_what_is_written_is_read():
    document, arrays = read_archive(write_archive(DOCUMENT, ARRAYS))

    assert document == DOCUMENT
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].dtype == array.dtype


def test_the_same_content_gives_the_same_bytes(monkeypatch):
    first = write_archive(DOCUMENT, ARRAYS)
    keep = [object() for _ in range(1000)]  # other addresses, another day, another order, another memory layout
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    turned = {name: np.asfortranarray(ARRAYS[name]) for name in reversed(list(ARRAYS))}

    assert write_archive(dict(reversed(DOCUMENT.items())), turned) == first
    assert keep


def test_equal_arrays_are_kept_apart_and_one_array_twice_is_two():
    twice = np.ones(3, np.float32)

    _, arrays = read_archive(write_archive({}, {"a": twice, "b": twice}))
    arrays["a"][0] = 7

    assert arrays["b"].tolist() == [1, 1, 1]
    assert write_archive({}, {"a": twice, "b": twice}) == write_archive({}, {"a": twice, "b": twice.copy()})


def test_skops_itself_reads_our_archives_and_finds_nothing_to_distrust():
    data = write_archive(DOCUMENT, ARRAYS)

    assert skops.io.get_untrusted_types(data=data) == []
    loaded = skops.io.loads(data, trusted=[])
    assert json.loads(loaded["document"]) == DOCUMENT
    np.testing.assert_array_equal(loaded["arrays"]["w"], ARRAYS["w"])


def test_a_file_that_runs_code_when_its_own_list_is_trusted_runs_nothing_here(tmp_path):
    proof = tmp_path / "owned"
    arguments = node(
        "TupleNode", "builtins", "tuple", [node("JsonNode", "builtins", "str", json.dumps(f"touch {proof}"))]
    )
    data = altered(
        lambda schema: schema["content"].update(
            document=node("ConstructorFromReduceNode", os.name, "system", arguments)
        )
    )

    with pytest.raises(ArtefactError, match=r"only builtins\.str is allowed"):
        read_archive(data)
    assert not proof.exists()

    skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))
    assert proof.exists()  # so the danger is real


@pytest.mark.parametrize(
    ("loader", "module", "name"),
    [
        ("ObjectNode", "sklearn.linear_model._logistic", "LogisticRegression"),
        ("ObjectNode", "sklearn.tree._tree", "Tree"),
        ("FunctionNode", "builtins", "eval"),
        ("PartialNode", "functools", "partial"),
        ("MethodNode", "builtins", "str"),
        ("TypeNode", "builtins", "str"),
        ("JsonNode", "os", "system"),
        ("DictNode", "collections", "OrderedDict"),
        ("NdArrayNode", "numpy", "matrix"),
    ],
)
def test_no_type_outside_the_allow_list_is_read_wherever_it_stands(loader, module, name):
    stranger = node(loader, module, name, {})
    places = [
        lambda schema: schema["content"].update(document=stranger),
        lambda schema: schema["content"].update(arrays=stranger),
        lambda schema: schema["content"]["arrays"]["content"].update(w=stranger),
    ]

    for put in places:
        with pytest.raises(ArtefactError):
            read_archive(altered(put))


def test_object_arrays_and_files_outside_are_refused():
    def objects(schema):
        schema["content"]["arrays"]["content"]["w"].update(type="json", content=[], shape=[0])

    def outside(schema):
        schema["content"]["arrays"]["content"]["w"].update(file="../../etc/passwd")

    def missing(schema):
        schema["content"]["arrays"]["content"]["w"].update(file="77.npy")

    for change in (objects, outside, missing):
        with pytest.raises(ArtefactError):
            read_archive(altered(change))


def test_a_pickle_inside_an_array_file_is_refused():
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    file = io.BytesIO()
    np.save(file, np.array([Bomb()], dtype=object), allow_pickle=True)
    out = io.BytesIO()
    given = ZipFile(io.BytesIO(write_archive({}, {"w": np.ones(2)})))
    with ZipFile(out, "w") as made:
        for name in given.namelist():
            made.writestr(name, file.getvalue() if name.endswith(".npy") else given.read(name))

    with pytest.raises(ArtefactError):
        read_archive(out.getvalue())


def test_only_numbers_are_written():
    for array in (np.array(["text"]), np.array([object()]), np.array([1j]), np.zeros(1, [("a", "f4")])):
        with pytest.raises(ArtefactError, match="only numbers"):
            write_archive({}, {"w": array})


def test_a_compressed_archive_is_refused():
    given = ZipFile(io.BytesIO(write_archive({}, {"w": np.zeros(1000)})))
    out = io.BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as made:
        for name in given.namelist():
            made.writestr(name, given.read(name))

    with pytest.raises(ArtefactError, match="compressed"):
        read_archive(out.getvalue())


def test_bytes_that_were_cut_or_altered_raise_one_kind_of_error():
    data = write_archive(DOCUMENT, ARRAYS)
    broken = [b"", b"PK", b"not a zip", data[:100], data[: len(data) // 2], data[:-1], data[50:]]
    broken += [data[:place] + b"\xff" * 4 + data[place + 4 :] for place in range(0, len(data) - 4, 37)]

    for bad in broken:
        try:
            read_archive(bad)  # some bytes of a zip mean nothing; the digest, checked before, knows
        except ArtefactError:
            continue


@pytest.mark.parametrize("schema", ["[]", "null", "{}", '"text"', "[" * 100_000, '{"content": 3}', "\xff"])
def test_a_schema_of_another_shape_is_refused(schema):
    out = io.BytesIO()
    with ZipFile(out, "w") as made:
        made.writestr("schema.json", schema)

    with pytest.raises(ArtefactError):
        read_archive(out.getvalue())
