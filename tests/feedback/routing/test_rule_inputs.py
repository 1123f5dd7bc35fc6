"""Rule inputs are the state of model, votes, signals, clock and task at one moment."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pytest

from feedback.policy import read_policy
from feedback.project.snapshot import ProjectSnapshot, load_snapshot
from feedback.routing.rule_inputs import RuleInputs, load_decision_history, load_rule_inputs, rank_by_uncertainty
from feedback.store import CurrentDecision, Decision, NewestSignal, ProjectRow, Skip, Store
from feedback.store.log.events import canonical_json, event_from_annotation, event_from_task
from feedback.training.model_cache import Committee, PredictionCache
from ml_backend.codecs import get_codec
from ml_backend.errors import ArtefactError
from ml_backend.label_config import read_label_config
from ml_backend.records import Answer, Task
from ml_backend.registry import Bundle
from tests.support.fake_platform import TEXT_CONFIG
from tests.support.make_events import make_annotation

CREATED = "2026-11-20T08:00:00Z"
NOW_S = 1_795_168_800.0  # 2026-11-20T10:00:00Z, a Friday
POLICY = read_policy("[calendars.office]\n[calendars.night]\nhours = ['00:00-05:00']")


@dataclass
class Model:
    """Says with which probability each text is a fruit; nothing of texts that it does not know."""

    version: str
    fruit: Mapping[str, float]
    classes: tuple[str, ...] = ("fruit", "tool")
    indicators: tuple[str, ...] = ()
    control: object = None

    def proba(self, data: Sequence[Mapping[str, Any]], names: object = None) -> np.ndarray[Any, Any]:
        known = [self.fruit.get(str(entry["text"]), float("nan")) for entry in data]
        return np.array([[entry, 1.0 - entry] for entry in known])


@dataclass
class Models:
    """A registry whose artefacts are the models themselves."""

    models: list[Model]
    broken: set[str] = field(default_factory=set)
    loads: list[str] = field(default_factory=list)

    def versions(self, project: str) -> list[str]:
        return [model.version for model in self.models]

    def artefact(self, project: str, version: str) -> Any:
        @dataclass
        class Artefact:
            data: str
            digest: str = ""

        return Artefact(version)

    def load(self, data: Any, digest: str) -> Any:
        if data in self.broken:
            raise ArtefactError("altered")
        self.loads.append(data)
        return next(model for model in self.models if model.version == data)


@pytest.fixture
def snapshot(store: Store) -> ProjectSnapshot:
    row = ProjectRow("1", "t", TEXT_CONFIG)
    store.projects.save_project(row)
    texts = ["apple", "saw", "?"]
    store.append(
        [event_from_task(Task(n + 1, {"text": text}, "1", created_at=CREATED), "poll") for n, text in enumerate(texts)]
    )
    control = read_label_config(TEXT_CONFIG).control("")
    for number, (person, label) in enumerate([(1, "fruit"), (2, "fruit"), (3, "tool")], start=1):
        result = tuple(get_codec("choices").encode(Answer("choices", (label,)), control, None))
        store.append([event_from_annotation(make_annotation(number, task=1, person=person, result=result), "poll")])
    return load_snapshot(store, row, POLICY)


def inputs_of(snapshot: ProjectSnapshot, model: Model | None, **options: Any) -> RuleInputs:
    given: dict[str, Any] = {"committee": None, "skips": (), "signals": {}, **options}
    return load_rule_inputs(
        snapshot, [1, 2, 3], champion=cast(Bundle, model), prediction_cache=PredictionCache(), now_s=NOW_S, **given
    )


def test_model_fields_are_missing_for_tasks_that_the_model_cannot_read(snapshot: ProjectSnapshot):
    found = inputs_of(snapshot, Model("m1", {"apple": 0.9, "saw": 0.25}))

    assert found.column("model.label") == ["fruit", "tool", None]
    assert found.column("model.confidence") == [0.9, 0.75, None]
    assert found.column("model.margin") == [pytest.approx(0.8), pytest.approx(0.5), None]


def test_without_a_model_there_are_no_model_fields(snapshot: ProjectSnapshot):
    found = inputs_of(snapshot, None)

    assert found.column("model.confidence") == [None] * 3
    assert "model.confidence" not in found.inputs(0)


def test_history_fields_count_votes_support_and_skips(snapshot: ProjectSnapshot):
    found = inputs_of(snapshot, None, skips=(Skip(2, 9, 50, 0.0), Skip(2, 8, 51, 0.0)))

    assert found.column("history.votes") == [3, 0, 0]
    assert found.column("history.support") == [pytest.approx(2 / 3, abs=1e-6), None, None]
    assert found.column("history.skips") == [0, 2, 0]


def test_time_is_counted_from_the_import_and_in_calendars(snapshot: ProjectSnapshot):
    found = inputs_of(snapshot, None)

    assert found.column("time.age") == [7200.0] * 3
    assert found.column("time.date") == ["2026-11-20"] * 3
    assert found.column("time.within") == [("office",)] * 3


def test_a_signal_about_a_task_replaces_one_about_the_project(snapshot: ProjectSnapshot):
    signals = {None: {"risk": NewestSignal(0.1, NOW_S - 60, 4)}, 2: {"risk": NewestSignal(0.9, NOW_S - 5, 1)}}
    found = inputs_of(snapshot, None, signals=signals)

    assert found.column("signal.risk") == [0.1, 0.9, 0.1]
    assert found.column("signal.risk.count") == [4, 1, 4]
    assert found.column("signal.risk.age") == [60.0, 5.0, 60.0]
    assert found.column("signal.other") == [None] * 3
    assert found.column("signal.other.count") == [0] * 3
    assert found.inputs(1)["signal.risk"] == 0.9


def test_disagreement_is_the_share_of_models_that_differ(snapshot: ProjectSnapshot):
    champion = Model("m3", {"apple": 0.9, "saw": 0.1})
    models = Models([Model("m1", {"apple": 0.2, "saw": 0.1}), Model("m2", {"apple": 0.8}), champion])
    committee = Committee(cast(Any, models), models.load)
    found = inputs_of(snapshot, champion, committee=committee)

    assert found.column("model.disagreement") == [0.5, 0.0, None]  # m2 cannot read "saw": it has no vote there
    inputs_of(snapshot, champion, committee=committee)
    assert sorted(models.loads) == ["m1", "m2"]  # loaded once


def test_the_uncertainty_rank_is_the_share_of_tasks_that_are_at_least_as_uncertain(snapshot: ProjectSnapshot):
    def ranks(**fruit: float) -> Mapping[int, float]:
        model = cast(Bundle, Model("m1", {"?" if name == "odd" else name: p for name, p in fruit.items()}))
        return rank_by_uncertainty(model, PredictionCache(), snapshot, [1, 2, 3])

    assert ranks(apple=0.9, saw=0.4, odd=0.3) == {
        1: 1.0,
        2: pytest.approx(1 / 3, abs=1e-6),
        3: pytest.approx(2 / 3, abs=1e-6),
    }
    assert ranks(apple=0.9, saw=0.1) == {1: 1.0, 2: 1.0}  # equally sure; the model cannot read the third
    assert ranks() == rank_by_uncertainty(None, PredictionCache(), snapshot, [1]) == {}


def test_a_history_without_ranks_has_those_of_its_confidences(snapshot: ProjectSnapshot, store: Store):
    standing = CurrentDecision("r", "L1", POLICY.hash, "m1", "", "normal", "default", None)
    for task, inputs in ((1, {"model.confidence": 0.9}), (2, {"model.confidence": 0.6}), (3, {})):
        content = hashlib.sha256(canonical_json(snapshot.tasks[task].data)).hexdigest()
        store.decisions.create_decisions("1", [Decision(task, NOW_S, content, standing, inputs)])

    history = load_decision_history(store, "1")

    assert dict(zip(history.tasks, history.column("model.uncertainty_rank"), strict=True)) == {1: 1.0, 2: 0.5, 3: None}


def test_a_single_model_is_no_committee(snapshot: ProjectSnapshot):
    champion = Model("m1", {"apple": 0.9})
    models = Models([champion])

    assert (
        inputs_of(snapshot, champion, committee=Committee(cast(Any, models), models.load)).column("model.disagreement")
        == [None] * 3
    )


def test_an_altered_model_is_not_in_the_committee(snapshot: ProjectSnapshot):
    champion = Model("m2", {"apple": 0.9})
    models = Models([Model("m1", {"apple": 0.1}), champion], broken={"m1"})

    assert (
        inputs_of(snapshot, champion, committee=Committee(cast(Any, models), models.load)).column("model.disagreement")
        == [None] * 3
    )
