"""Predict with the champion of each project: always one Label Studio result per task, in order."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ml_backend.codecs import get_codec
from ml_backend.errors import BackendError
from ml_backend.label_config import LabelConfig, read_label_config
from ml_backend.left_out import collect_left_out, compute_rows
from ml_backend.records import Indicators, Task, with_indicators

if TYPE_CHECKING:
    from ml_backend.registry import Bundle, ModelRef, Registry

NO_MODEL_VERSION = "hitl-0"  # the version before any champion: it predicts nothing
Result = dict[str, Any]  # {"result": [regions], "score": confidence in [0, 1], "model_version": M}
BlindRule = Callable[[Task], bool]  # whether a task must be shown without a prediction
IndicatorReader = Callable[[Sequence[Task]], Sequence[Indicators]]  # (n,) the current indicators of each task
_Prediction = tuple[list[dict[str, Any]], float]  # regions, confidence
Count = Callable[[str, int], None]  # an event name, and the number of tasks or models

_CHUNK = 2_000  # tasks per model call: the features of 100,000 tasks must not be in memory at once
_MAX_PROJECTS = 4_096  # projects kept, loaded or not; one without a model takes a few hundred bytes
_MAX_CONFIGS = 8  # label configs kept per model; a project has one at a time
_LONGEST_CONFIG = 64 << 10  # characters of one that is kept
_NEVER = float("-inf")
_log = logging.getLogger(__name__)


class Predictor:
    """Predicts for every project with the champion that its registry names now.

    Safe in threads. A new champion is loaded while the previous one serves, and then replaces it. Where a champion
    cannot be loaded, the previous one keeps serving, the failure is counted, and loading is tried again later.

    `blind` and `read_indicators` return for a project the rule by which tasks are shown without a prediction, and the
    function that reads the indicators of tasks, for models that learned from them. A champion is taken as current for
    `cache_s`, and is tried again after `retry_s` where it could not be loaded. `keep` models stay loaded, fewer where
    their artefacts have more than `keep_bytes` together; the least recently used is unloaded first. `load` builds a
    bundle from the bytes of an artefact and their digest. After `within_s` the remaining tasks of a request get no
    prediction: whoever asked has gone.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        blind: Callable[[str], BlindRule] | None = None,
        read_indicators: Callable[[str], IndicatorReader] | None = None,
        cache_s: float = 0.5,
        retry_s: float = 30.0,
        keep: int = 16,
        keep_bytes: int = 512 << 20,
        clock: Callable[[], float] = time.monotonic,
        load: Callable[[bytes, str], Bundle] | None = None,
        count: Count | None = None,
        within_s: float = math.inf,
    ) -> None:
        self._within_s, self._keep_bytes = within_s, keep_bytes
        self._registry = registry
        self._blind = blind or (lambda _project: lambda _task: False)
        self._read_indicators = read_indicators or (lambda _project: lambda tasks: [{}] * len(tasks))
        self._cache_s, self._retry_s, self._keep = cache_s, retry_s, keep
        self._clock = clock
        self._load = load or _unpack
        self._count = count or (lambda _event, _n: None)
        self._lock = threading.Lock()  # guards the order of the projects
        self._projects: OrderedDict[str, _ProjectModel] = OrderedDict()  # least recently used first

    def version(self, project: str) -> str:
        """Return M, the version of this project's predictions now; `hitl-0` before the first champion."""
        serving = self._current(project).serving
        return serving.ref.version if serving else NO_MODEL_VERSION

    def versions(self, project: str) -> list[str]:
        """Return all versions in the registry, or the serving one where the registry is empty or cannot be read."""
        try:
            stored = list(self._registry.versions(project))
        except Exception as error:  # noqa: BLE001 - a database that is down; the serving version is in memory
            _log.error("versions of project %s: %s", project, error)
            stored = []
        return stored or [self.version(project)]

    def serving(self) -> list[str]:
        """Return the versions that serve now, over all projects that this process was asked for."""
        with self._lock:
            projects = list(self._projects.values())
        return sorted({model.serving.ref.version for model in projects if model.serving}) or [NO_MODEL_VERSION]

    def predict(self, project: str, label_config: str, tasks: Sequence[Any]) -> list[Result]:
        """Return one Label Studio result per task, in order; an empty result where there is no prediction to show.

        `tasks` are as Label Studio sends them, unchecked. Raises LabelConfigError for a config that cannot be read, and
        nothing else, whatever the tasks contain.
        """
        config = read_label_config(label_config)
        model = self._current(project)
        serving, blind = model.serving, model.blind
        if serving is None or blind is None:
            self._count("no_model", len(tasks))
            return [_empty(NO_MODEL_VERSION) for _ in tasks]
        results = [_empty(serving.ref.version) for _ in tasks]
        bundle = serving.bundle_for(config)
        if bundle is None:
            self._count("label_config_differs", len(tasks))
            return results
        shown = [place for place, raw in enumerate(tasks) if self._may_show(project, raw, blind)]
        with collect_left_out() as left_out:
            self._predict_shown(project, bundle, tasks, shown, results, model.read_indicators)
        if left_out.rows:
            self._count("left_out", left_out.count)
            _log.warning("project %s: predict: %s", project, left_out.describe())
        return results

    def _predict_shown(
        self,
        project: str,
        bundle: Bundle,
        tasks: Sequence[Any],
        shown: Sequence[int],
        results: list[Result],
        read_indicators: IndicatorReader | None,
    ) -> None:
        """Put the predictions of the tasks that may be shown, by their places, into the results."""
        until_s = self._clock() + self._within_s
        for start in range(0, len(shown), _CHUNK):
            if self._clock() > until_s:
                self._count("out_of_time", len(shown) - start)
                break
            places = shown[start : start + _CHUNK]
            data = self._read_data(project, bundle, [tasks[place] for place in places], read_indicators)
            names = [_name(tasks[place]) for place in places]
            predictions = _predict(bundle, data, names)
            for place, result in zip(places, predictions, strict=True):
                if result is not None:
                    results[place]["result"], results[place]["score"] = result
            if missing := sum(prediction is None for prediction in predictions):
                self._count("unanswered", missing)

    def _may_show(self, project: str, raw: Any, blind: BlindRule) -> bool:
        """Return whether a task can be read and may be shown with a prediction."""
        data = raw.get("data") if isinstance(raw, Mapping) else None
        if not isinstance(data, Mapping):
            self._count("unreadable", 1)
            return False
        try:
            hidden = blind(_task(project, raw))
        except Exception:  # noqa: BLE001 - the rule may raise anything; a shown prediction stays seen
            self._count("blind_rule_failed", 1)
            return False
        if hidden:
            self._count("blind", 1)
        return not hidden

    def _read_data(
        self, project: str, bundle: Bundle, tasks: Sequence[Any], read_indicators: IndicatorReader | None
    ) -> list[Mapping[str, Any]]:
        """Return what the model reads of raw tasks: their data, with indicators where it learned from them."""
        if not bundle.indicators or read_indicators is None:
            return [with_indicators(raw["data"], {}) for raw in tasks]

        def read(part: Sequence[Any]) -> Sequence[Indicators]:
            return read_indicators([_task(project, raw) for raw in part])

        try:
            found = compute_rows("read the indicators", tasks, read, name=_name)
        except Exception as error:  # noqa: BLE001 - a database that is down; the task's own data suffice
            _log.error("project %s: the indicators of its tasks cannot be read: %s", project, error)
            found = [None] * len(tasks)
        if missing := sum(values is None for values in found):
            self._count("indicators_unavailable", missing)
        indicators = [values or {} for values in found]
        return [with_indicators(raw["data"], values) for raw, values in zip(tasks, indicators, strict=True)]

    def _current(self, project: str) -> _ProjectModel:
        """Return the state of a project's champion, refreshed after `cache_s`."""
        model = self._entry(project)
        if 0 <= self._clock() - model.checked_s < self._cache_s:
            return model
        # the first caller waits for the model; later ones use the previous champion while another thread refreshes
        if model.lock.acquire(blocking=model.checked_s == _NEVER):
            try:
                if not 0 <= self._clock() - model.checked_s < self._cache_s:
                    self._refresh(project, model)
            finally:
                model.lock.release()
        return model

    def _refresh(self, project: str, model: _ProjectModel) -> None:
        """Look up the champion and its rules, and load a new champion; on any failure the previous one stays."""
        now = self._clock()
        try:
            ref = self._registry.champion(project)
            if ref is None:
                model.serving = None
                return
            model.blind, model.read_indicators = self._blind(project), self._read_indicators(project)
            is_new = model.serving is None or model.serving.ref != ref
            if is_new and not (model.failed and model.failed[0] == ref and 0 <= now - model.failed[1] < self._retry_s):
                model.failed = (ref, now)
                self._load_model(project, model, ref)
                model.failed = None
                self._count("loaded", 1)
        except Exception as error:  # noqa: BLE001 - a database that is down or a damaged artefact must not stop serving
            self._count("load_failed", 1)
            self._load_previous(project, model)
            _log.error("project %s keeps %s: %s", project, model.serving and model.serving.ref.version, error)
        finally:
            model.checked_s = self._clock()

    def _load_previous(self, project: str, model: _ProjectModel) -> None:
        """Serve the previous champion in a process that was started after the champion was damaged."""
        if model.serving is not None or model.blind is None:
            return
        try:
            previous = self._registry.previous_champion(project)
            if previous is not None:
                self._load_model(project, model, previous)
        except Exception as error:  # noqa: BLE001 - the same; results are empty until one of them can be read
            _log.error("project %s: the previous model cannot be loaded either: %s", project, error)

    def _load_model(self, project: str, model: _ProjectModel, ref: ModelRef) -> None:
        """Load a model, and unload the least recently used ones beyond what may stay loaded."""
        data = self._registry.artefact(project, ref.version).data
        model.serving = _LoadedModel(ref, self._load(data, ref.digest), len(data))
        with self._lock:
            sizes = [(name, model.serving.n_bytes) for name, model in self._projects.items() if model.serving]
            kept, total = 0, 0
            for name, n_bytes in [(project, len(data)), *(row for row in reversed(sizes) if row[0] != project)]:
                kept, total = kept + 1, total + n_bytes
                if name != project and (kept > self._keep or total > self._keep_bytes):
                    self._projects[name] = _ProjectModel()

    def _entry(self, project: str) -> _ProjectModel:
        with self._lock:
            model = self._projects.get(project)
            if model is None:
                model = self._projects[project] = _ProjectModel()
                if len(self._projects) > _MAX_PROJECTS:
                    self._projects.popitem(last=False)
            else:
                self._projects.move_to_end(project)
            return model


@dataclass(slots=True)
class _LoadedModel:
    """One loaded champion, and its bundle for each label config that was asked for."""

    ref: ModelRef
    bundle: Bundle
    n_bytes: int  # of its artefact
    bundle_by_config: dict[str, Bundle | None] = field(default_factory=dict)

    def bundle_for(self, config: LabelConfig) -> Bundle | None:
        """Return the bundle with the control of this config; None where the config asks another question."""
        if config.hash in self.bundle_by_config:
            return self.bundle_by_config[config.hash]
        control = config.matching_control(self.bundle.control)
        bundle = replace(self.bundle, control=control) if control else None
        if len(config.xml) <= _LONGEST_CONFIG:  # making a bundle takes microseconds
            if len(self.bundle_by_config) >= _MAX_CONFIGS:
                self.bundle_by_config.clear()
            self.bundle_by_config[config.hash] = bundle
        return bundle


@dataclass(slots=True)
class _ProjectModel:
    """The state of one project's champion; a thread that looks for a new champion holds `lock`."""

    serving: _LoadedModel | None = None
    blind: BlindRule | None = None  # set whenever there is a champion
    read_indicators: IndicatorReader | None = None  # the same
    checked_s: float = _NEVER
    failed: tuple[ModelRef, float] | None = None  # the champion that could not be loaded, and when
    lock: threading.Lock = field(default_factory=threading.Lock)


def _predict(bundle: Bundle, data: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[_Prediction | None]:
    """Return regions and confidence of each task; None where the model has no answer, or the task makes it fail."""
    codec = get_codec(bundle.control.kind)

    def predict(places: Sequence[int]) -> Sequence[Any]:
        answers = bundle.predict([data[place] for place in places], names=[names[place] for place in places])
        if len(answers) != len(places):
            raise BackendError(f"the model returned {len(answers)} answers for {len(places)} tasks.")
        return answers

    def encode(places: Sequence[int]) -> Sequence[_Prediction]:
        rows = ((answers[place], bundle.control.on_task(data[place])) for place in places)
        return [
            (codec.encode(row[0], control, row[1]), round(min(1.0, max(0.0, float(row[1]))), 6))
            for row, control in rows
            if row
        ]

    answers = compute_rows("predict", range(len(data)), predict, name=names.__getitem__)
    answered = [
        place
        for place, (answer, score) in enumerate(row or (None, None) for row in answers)
        if answer is not None and score is not None and math.isfinite(score)
    ]
    encoded = compute_rows("encode the prediction", answered, encode, name=names.__getitem__)
    found = dict(zip(answered, encoded, strict=True))
    return [found.get(place) for place in range(len(data))]


def _name(raw: Mapping[str, Any]) -> str:
    return f"task {raw.get('id')}"


def _task(project: str, raw: Mapping[str, Any]) -> Task:
    number = raw.get("id")
    return Task(number if isinstance(number, int) else 0, raw["data"], project)


def _empty(version: str) -> Result:
    return {"result": [], "score": 0.0, "model_version": version}


def _unpack(data: bytes, digest: str) -> Bundle:
    # reason: scikit-learn takes a second to import; a cold start serves without it
    from ml_backend.registry import unpack

    return unpack(data, digest)
