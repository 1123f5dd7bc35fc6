import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ml_backend.calibration import Calibrator
from ml_backend.errors import ArtefactError
from ml_backend.features.cache import FeatureCache
from ml_backend.label_config import Control
from ml_backend.models import recipe_for
from ml_backend.records import Answer
from ml_backend.registry import Bundle, digest_of, pack, unpack
from ml_backend.registry.archive import read_archive, write_archive
from tests.support.small_tasks import TEXT, texts


def bundle(*, n=60, seed=0, control=TEXT):
    data, labels = texts(n)
    model = recipe_for(TEXT).fit(data, labels, field="text", seed=seed)
    return Bundle(
        model, Calibrator("temperature", 1.7), control, "hash", "text-choices/2", "m60-ab", n, 12.5, {"rows": n}
    )


def fixed(*rows, classes=("a", "b", "c"), labels=("a", "b", "c")):
    """A bundle of a model that always gives these rows."""

    class Fixed:
        def predict_proba(self, data):
            return np.array(rows)[: len(data)]

        def vectors(self, data):
            return np.zeros((len(data), 1), np.float32)

        def state(self):
            return {}

    model = Fixed()
    model.classes = classes
    control = Control("c", "t", "choices", tuple(labels), False, "text", "text")
    return Bundle(model, Calibrator(), control, "", "fixed/1", "m1", 1, 0.0, {})


def test_the_answer_is_the_best_class_and_its_calibrated_probability():
    ((answer, confidence),) = fixed([0.2, 0.7, 0.1]).predict([{}])

    assert answer == Answer("choices", ("b",))
    assert confidence == 0.7


def test_a_task_that_cannot_be_read_has_no_answer_and_costs_no_neighbour():
    data, labels = texts()
    predicted = bundle().predict([data[0], {}, {"text": None}, data[1]])

    assert predicted[1] == predicted[2] == (None, None)
    assert [answer.value[0] for answer, _ in (predicted[0], predicted[3])] == labels[:2]


def test_labels_that_are_gone_are_left_out_and_the_others_keep_their_names():
    gone = fixed([0.5, 0.3, 0.2], labels=("c", "b", "new"))

    assert gone.classes == ("b", "c")
    np.testing.assert_allclose(gone.proba([{}]), [[0.6, 0.4]])
    assert gone.predict([{}]) == [(Answer("choices", ("b",)), pytest.approx(0.6))]


def test_a_changed_control_is_followed_by_replace():
    now = replace(bundle(), control=replace(TEXT, labels=("login", "refund")))
    data, _ = texts()

    assert now.classes == ("login", "refund")
    np.testing.assert_allclose(now.proba(data).sum(axis=1), 1.0)
    assert {answer.value[0] for answer, _ in now.predict(data)} == {"login", "refund"}


def test_nothing_left_of_the_probability_is_no_opinion():
    assert fixed([1.0, 0.0, 0.0], labels=("b", "c")).predict([{}]) == [(None, None)]
    assert fixed([0.5, 0.3, 0.2], labels=("x",)).predict([{}]) == [(None, None)]


def test_a_row_without_an_opinion_is_no_answer():
    nothing = [np.nan] * 3

    assert fixed(nothing, nothing).predict([{"text": "a"}, {}]) == [(None, None), (None, None)]


def test_what_is_packed_answers_the_same_when_unpacked():
    data, _ = texts(90, seed=5)
    ours = bundle()
    artefact = pack(ours)

    loaded = unpack(artefact.data, artefact.digest, cache=FeatureCache())

    np.testing.assert_allclose(loaded.proba(data), ours.proba(data), atol=1e-12)
    same = ("calibrator", "control", "config_hash", "recipe", "version", "trained_on", "created_s", "card", "classes")
    for name in same:
        assert getattr(loaded, name) == getattr(ours, name)


def test_two_fits_of_the_same_rows_have_one_digest_and_other_rows_another():
    assert pack(bundle()).digest == pack(bundle()).digest
    assert pack(bundle(n=57)).digest != pack(bundle()).digest
    assert pack(bundle()).digest == digest_of(pack(bundle()).data)


def test_altered_or_cut_bytes_are_refused():
    artefact = pack(bundle())
    data = artefact.data

    for bad in (data[:-1], data[:1000], b"", data + b"x", data[:500] + bytes([data[500] ^ 1]) + data[501:]):
        with pytest.raises(ArtefactError, match="truncated or altered"):
            unpack(bad, artefact.digest)


def repacked(change):
    document, arrays = read_archive(pack(bundle()).data)
    change(document, arrays)
    data = write_archive(document, arrays)
    return data, digest_of(data)


@pytest.mark.parametrize(
    "change",
    [
        lambda document, arrays: document.update(format=2),
        lambda document, arrays: document.pop("format"),
        lambda document, arrays: document.update(recipe="text-choices/0"),
        lambda document, arrays: document.update(recipe="os:system"),
        lambda document, arrays: document.update(recipe=7),
        lambda document, arrays: document.pop("control"),
        lambda document, arrays: document.update(control={"name": "c"}),
        lambda document, arrays: document.update(
            scaler={"kind": "temperature", "degree": -1, "given": [], "meant": []}
        ),
        lambda document, arrays: document["state"].update(classes=["only"]),
        lambda document, arrays: arrays.pop("codes"),
        lambda document, arrays: arrays.update(idf=np.zeros(3, np.float32)),
    ],
)
def test_a_well_formed_archive_that_is_no_model_of_ours_is_refused(change):
    with pytest.raises(ArtefactError):
        unpack(*repacked(change))


def test_a_card_that_is_not_json_is_refused_when_packing():
    with pytest.raises(ArtefactError, match="JSON"):
        pack(replace(bundle(), card={"when": object()}))
    with pytest.raises(ArtefactError, match="JSON"):
        pack(replace(bundle(), card={"loss": float("nan")}))


def test_serving_a_model_imports_neither_scikit_learn_nor_skops(tmp_path):
    artefact = pack(bundle())
    (tmp_path / "m").write_bytes(artefact.data)
    code = """
import sys
from ml_backend.registry import unpack
predicted = unpack(open(sys.argv[1], "rb").read(), sys.argv[2]).predict([{"text": "where is my parcel"}])
print(predicted[0][0].value[0], [name for name in ("sklearn", "skops", "scipy.optimize", "PIL") if name in sys.modules])
"""
    command = [sys.executable, "-c", code, str(tmp_path / "m"), artefact.digest]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "delivery []"  # 160 MB and 1.5 s in every web worker otherwise
