"""Serve a champion with `label-studio-ml start` of 1.0.9: a LabelStudioMLBase over a folder of models.

    label-studio-ml init my_backend --script .../ml_backend/models/label_studio_ml_adapter.py:HitlBackend
    HITL_DATA_DIR=... label-studio-ml start my_backend

`init` copies this file next to its own `_wsgi.py`, so it imports by full names only. Prefer `hitl serve`; this is for
users who run label-studio-ml already.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from ml_backend.codecs import get_codec
from ml_backend.errors import BackendError
from ml_backend.label_config import read_label_config
from ml_backend.registry import Bundle, FolderRegistry, unpack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a regular expression in label_studio_tools has an invalid escape
    from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager

_INITIAL = "INITIAL"  # the name in 1.0.9 of a model before its first job
_JOB = "job_result.json"
_MAX_MODELS = 16  # kept loaded; each takes some megabytes
Prediction = tuple[list[dict[str, Any]], float]  # regions, confidence
_log = logging.getLogger(__name__)


class HitlBackend(LabelStudioMLBase):
    """Serves the champion of each task's project from `$HITL_DATA_DIR/models`; it never trains.

    label-studio-ml 1.0.9 has one instance for all projects, with the label config of the last /setup. So the project
    is read from each task, and a champion predicts only for a control that it has learned.

    1.0.9 also names the versions: /setup returns "INITIAL" or the number of a finished job. Predictions carry the same
    name, because Label Studio repeats its requests for a version that /setup does not return. Each promotion is
    recorded as a finished job, so that the next /setup returns a new name.
    """

    def __init__(self, label_config: str | None = None, train_output: Any = None, **kwargs: Any) -> None:
        super().__init__(label_config=label_config, train_output=train_output, **kwargs)
        folder = kwargs.get("data_dir") or os.environ.get("HITL_DATA_DIR") or user_data_path("label-studio-hitl")
        self._registry = FolderRegistry(Path(str(folder)) / "models")
        self._project = str(kwargs.get("project") or "")  # for tasks without a project: `--with project=12`
        self._loaded: dict[str, tuple[str, Bundle]] = {}  # project -> digest, bundle
        self._version = str(self.train_output.get("job_id") or _INITIAL)
        _record_promotion(LabelStudioMLManager.model_dir, self._registry.promoted_ms())

    def predict(self, tasks: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - 1.0.9
        """Return one prediction per task, in order; an empty one where there is no answer."""
        predictions: list[Prediction] = [([], 0.0)] * len(tasks)
        by_project: dict[str, list[int]] = defaultdict(list)
        for place, task in enumerate(tasks):
            by_project[str(task.get("project") or self._project)].append(place)
        for project, places in by_project.items():
            data = [tasks[place].get("data") for place in places]
            for place, prediction in zip(places, self._predict_project(project, data), strict=True):
                predictions[place] = prediction
        return [{"result": result, "score": score, "model_version": self._version} for result, score in predictions]

    def _predict_project(self, project: str, data: Sequence[Any]) -> list[Prediction]:
        try:
            bundle = self._champion(project)
        except BackendError as error:
            _log.error("project %s: %s", project, error)
            bundle = None
        control = bundle.control if bundle else None
        if bundle and self.label_config:  # none before a /setup
            control = read_label_config(self.label_config).matching_control(bundle.control)
        if bundle is None or control is None:
            return [([], 0.0)] * len(data)
        answers = replace(bundle, control=control).predict([item if isinstance(item, Mapping) else {} for item in data])
        encode = get_codec(control.kind).encode
        return [
            ([], 0.0) if answer is None or score is None else (encode(answer, control, score), score)
            for answer, score in answers
        ]

    def _champion(self, project: str) -> Bundle | None:
        ref = self._registry.champion(project)
        if ref is None:
            return None
        loaded = self._loaded.get(project)
        if loaded is None or loaded[0] != ref.digest:
            if len(self._loaded) >= _MAX_MODELS:
                self._loaded.clear()
            artefact = self._registry.artefact(project, ref.version)
            loaded = self._loaded[project] = (ref.digest, unpack(artefact.data, ref.digest))
        return loaded[1]


def _record_promotion(home: str | None, promoted_ms: int) -> None:
    """Write the newest promotion as a job result of label-studio-ml, which its server reads at each /setup."""
    if not home or not promoted_ms or (folder := Path(home) / str(promoted_ms)).joinpath(_JOB).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{_JOB}.{os.getpid()}"
    part.write_text(json.dumps({"promoted_ms": promoted_ms}))
    part.replace(folder / _JOB)
