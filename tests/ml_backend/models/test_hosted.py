import math

import numpy as np
import pytest

from ml_backend.calibration import Calibrator
from ml_backend.errors import ArtefactError, NotTrained, UnknownName
from ml_backend.models.hosted import hosted
from ml_backend.records import Answer
from ml_backend.registry import Bundle, pack, unpack
from tests.support.small_tasks import TEXT, texts

XML = """<View><Text name="text" value="$text"/><Choices name="topic" toName="text">
<Choice value="refund"/><Choice value="delivery"/><Choice value="login"/></Choices></View>"""

KEYWORDS = '''
from collections import Counter

from label_studio_ml.model import LabelStudioMLBase


class Keywords(LabelStudioMLBase):
    """Learns which label a word mostly comes with."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.from_name, info = next(iter(self.parsed_label_config.items()))
        self.to_name, self.labels = info["to_name"][0], info["labels"]

    def predict(self, tasks, **kwargs):
        answers = []
        for task in tasks:
            words = task["data"]["text"].split()
            votes = Counter(self.train_output[word] for word in words if word in self.train_output)
            if not votes:
                answers.append({"result": [], "score": 0.0})
                continue
            label, count = votes.most_common(1)[0]
            region = {"from_name": self.from_name, "to_name": self.to_name, "type": "choices",
                      "value": {"choices": [label]}}
            answers.append({"result": [region], "score": count / sum(votes.values())})
        return answers

    def fit(self, tasks, workdir=None, **kwargs):
        counts = {}
        for task in tasks:
            label = task["annotations"][0]["result"][0]["value"]["choices"][0]
            for word in task["data"]["text"].split():
                counts.setdefault(word, Counter())[label] += 1
        return {word: count.most_common(1)[0][0] for word, count in counts.items() if len(count) == 1}


class NotAModel:
    pass


class Writes(Keywords):
    def fit(self, tasks, workdir=None, **kwargs):
        open(workdir + "/model.pkl", "w").close()
        return {}


class Raises(Keywords):
    def fit(self, tasks, workdir=None, **kwargs):
        raise KeyError("annotation")


class Says(Keywords):
    """Gives the score that stands in the text."""

    def predict(self, tasks, **kwargs):
        region = {"from_name": "topic", "to_name": "text", "type": "choices", "value": {"choices": ["login"]}}
        return [{"result": [region], "score": eval(task["data"]["text"])} for task in tasks]

    def fit(self, tasks, workdir=None, **kwargs):
        return {}
'''


@pytest.fixture
def spec(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(KEYWORDS)
    return lambda name: f"{file}:{name}"


def recipe(spec):
    return hosted(spec, label_config=XML, control=TEXT)


def test_a_simple_model_learns_and_answers_inside_our_loop(spec):
    data, labels = texts(60)
    fresh, truth = texts(60, seed=9)

    model = recipe(spec("Keywords")).fit(data, labels, field="text")

    assert model.classes == ("delivery", "login", "refund")
    proba = model.predict_proba(fresh)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    predicted = [model.classes[best] for best in proba.argmax(axis=1)]
    assert np.mean([name == label for name, label in zip(predicted, truth, strict=True)]) > 0.9


def test_the_score_goes_to_the_chosen_class_and_the_rest_is_shared(spec):
    model = recipe(spec("Says")).fit(*texts(6), field="text")

    np.testing.assert_allclose(model.predict_proba([{"text": "0.8"}]), [[0.1, 0.8, 0.1]])


@pytest.mark.parametrize("score", ["None", "0.0", "1.7", "-3", "True", "'high'", "float('nan')", "0.2"])
def test_a_score_that_the_chosen_class_could_not_have_is_just_better_than_chance(spec, score):
    model = recipe(spec("Says")).fit(*texts(6), field="text")

    (row,) = model.predict_proba([{"text": score}])

    assert row.argmax() == 1
    assert 1 / 3 < row[1] < 0.34
    assert math.isclose(row.sum(), 1.0)


def test_a_task_on_which_the_code_fails_costs_no_neighbour(spec):
    data, labels = texts(60)
    model = recipe(spec("Keywords")).fit(data, labels, field="text")

    proba = model.predict_proba([data[0], {}, {"text": "unknown"}, data[1]])

    assert np.isnan(proba[1:3]).all()
    np.testing.assert_array_equal(proba[[0, 3]], model.predict_proba(data[:2]))
    assert model.predict_proba([]).shape == (0, 3)


def test_what_it_learned_is_archived_and_loads_only_where_the_operator_named_the_file(spec):
    data, labels = texts(60)
    ours = recipe(spec("Keywords"))
    bundle = Bundle(ours.fit(data, labels, field="text"), Calibrator(), TEXT, "", ours.name, "m1", 60, 0.0, {})
    artefact = pack(bundle)

    with pytest.raises(ArtefactError, match="hosted-model"):
        unpack(artefact.data, artefact.digest)
    loaded = unpack(artefact.data, artefact.digest, recipes=[hosted(spec("Keywords"))])

    assert loaded.predict(data) == bundle.predict(data)
    assert loaded.predict(data[:1])[0][0] == Answer("choices", (labels[0],))


def test_an_edited_file_is_another_recipe(spec, tmp_path):
    before = recipe(spec("Keywords")).name

    (tmp_path / "model.py").write_text(KEYWORDS + "\n# edited\n")

    assert recipe(spec("Keywords")).name != before
    assert before.startswith("hosted-model.Keywords/")


def test_a_training_that_cannot_be_stored_gives_the_reason(spec):
    with pytest.raises(NotTrained, match=r"wrote model\.pkl") as caught:
        recipe(spec("Writes")).fit(*texts(6), field="text")
    assert "JSON" in caught.value.hint
    with pytest.raises(NotTrained, match="failed in fit: KeyError"):
        recipe(spec("Raises")).fit(*texts(6), field="text")
    with pytest.raises(NotTrained, match="two classes"):
        recipe(spec("Keywords")).fit(texts(3)[0], ["refund"] * 3, field="text")


@pytest.mark.parametrize("name", ["NotAModel", "Missing"])
def test_a_class_that_is_no_model_is_refused(spec, name):
    with pytest.raises(UnknownName, match="no subclass"):
        recipe(spec(name))


def test_a_path_that_leads_nowhere_is_refused(tmp_path):
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_like_this\n")

    for bad in ("model.py", "nowhere.py:Model", ":Model", f"{broken}:Model", f"{broken}:a-b"):
        with pytest.raises(UnknownName):
            hosted(bad)


def test_its_vectors_are_our_own_features(spec):
    data, labels = texts(60)
    model = recipe(spec("Keywords")).fit(data, labels, field="text")

    np.testing.assert_allclose(np.linalg.norm(model.vectors(data), axis=1), 1.0, atol=1e-3)
