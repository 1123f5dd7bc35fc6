"""Our champion under `label-studio-ml start` of 1.0.9: a thin LabelStudioMLBase over a folder of models.

    label-studio-ml init my_backend --script .../ml_backend/models/label_studio_ml_adapter.py:HitlBackend
    HITL_DATA_DIR=... label-studio-ml start my_backend

`init` copies this file beside its own `_wsgi.py`, so it imports by full names only. `hitl serve` does all of this
better; this is for whoever runs label-studio-ml already.
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

from ml_backend.codecs import codec
from ml_backend.errors import BackendError
from ml_backend.label_config import Control, read_label_config
from ml_backend.registry import Bundle, FolderRegistry, unpack

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a regular expression in label_studio_tools has an invalid escape
    from label_studio_ml.model import LabelStudioMLBase, LabelStudioMLManager

_INITIAL = "INITIAL"  # what 1.0.9 calls a model before its first job
_JOB = "job_result.json"
Said = tuple[list[dict[str, Any]], float]  # regions, confidence
_log = logging.getLogger(__name__)


class HitlBackend(LabelStudioMLBase):
    """Serves the champion of each task's project from `$HITL_DATA_DIR/models`; it never trains here.

    label-studio-ml 1.0.9 keeps one instance for all projects and gives it the label config of the last /setup, so
    the project is read from each task, and a champion answers only for a control that it has learned.

    It also names versions itself: /setup answers "INITIAL" or the number of a finished job. Predictions carry that same
    name, because Label Studio asks again and again for a version that /setup never gives; and each promotion is left
    as a finished job, so that from the next /setup on the name is a new one.
    """

    def __init__(self, label_config: str | None = None, train_output: Any = None, **kwargs: Any) -> None:
        super().__init__(label_config=label_config, train_output=train_output, **kwargs)
        folder = kwargs.get("data_dir") or os.environ.get("HITL_DATA_DIR") or "."
        self._registry = FolderRegistry(Path(str(folder)) / "models")
        self._project = str(kwargs.get("project") or "")  # for tasks that name none: `--with project=12`
        self._loaded: dict[str, tuple[str, Bundle]] = {}  # project -> digest, bundle
        self._version = str(self.train_output.get("job_id") or _INITIAL)
        _announce(LabelStudioMLManager.model_dir, self._registry.promoted_ms())

    def predict(self, tasks: Sequence[Mapping[str, Any]], **kwargs: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - 1.0.9
        """One prediction a task, in order; an empty one wherever there is nothing to say."""
        said: list[Said] = [([], 0.0)] * len(tasks)
        by_project: dict[str, list[int]] = defaultdict(list)
        for place, task in enumerate(tasks):
            by_project[str(task.get("project") or self._project)].append(place)
        for project, places in by_project.items():
            data = [tasks[place].get("data") for place in places]
            for place, one in zip(places, self._say(project, data), strict=True):
                said[place] = one
        return [{"result": result, "score": score, "model_version": self._version} for result, score in said]

    def _say(self, project: str, data: Sequence[Any]) -> list[Said]:
        nothing: list[Said] = [([], 0.0)] * len(data)
        try:
            bundle = self._champion(project)
        except BackendError as error:
            _log.error("project %s: %s", project, error)
            return nothing
        control = self._control(bundle) if bundle else None
        if bundle is None or control is None:
            return nothing
        answers = replace(bundle, control=control).predict([item if isinstance(item, Mapping) else {} for item in data])
        encode = codec(control.kind).encode
        return [
            ([], 0.0) if answer is None or score is None else (encode(answer, control, score), score)
            for answer, score in answers
        ]

    def _champion(self, project: str) -> Bundle | None:
        ref = self._registry.champion(project)
        if ref is None:
            return None
        known = self._loaded.get(project)
        if known is None or known[0] != ref.digest:
            artefact = self._registry.artefact(project, ref.version)
            known = self._loaded[project] = (ref.digest, unpack(artefact.data, ref.digest))
        return known[1]

    def _control(self, bundle: Bundle) -> Control | None:
        """What is asked now, if it is what the bundle learned; without a /setup, what it learned."""
        learned = bundle.control
        if not self.label_config:
            return learned
        for control in read_label_config(self.label_config).controls:
            same = (control.name, control.kind, control.object_kind, control.field)
            if same == (learned.name, learned.kind, learned.object_kind, learned.field):
                return control
        return None


def _announce(home: str | None, promoted_ms: int) -> None:
    """Leave the newest promotion as label-studio-ml's own job result, where its server looks at each /setup."""
    if not home or not promoted_ms or (folder := Path(home) / str(promoted_ms)).joinpath(_JOB).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{_JOB}.{os.getpid()}"
    part.write_text(json.dumps({"promoted_ms": promoted_ms}))
    part.replace(folder / _JOB)
