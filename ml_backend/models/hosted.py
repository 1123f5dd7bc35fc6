"""Host a label-studio-ml 1.0.9 model: use its class as a recipe."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_backend.codecs import decode_result, get_codec
from ml_backend.errors import BackendError, NotTrained, UnknownName
from ml_backend.label_config import Control
from ml_backend.models import HOSTED_OPTIONS, HOSTED_OPTIONS_HINT, Floats, Tasks, recipe_for
from ml_backend.records import Answer

_MIN_LEAD = 1e-3  # of the chosen class over chance, where the model gives no usable score


def hosted(spec: str, *, label_config: str = "", control: Control | None = None) -> HostedRecipe:
    """Return a recipe of a LabelStudioMLBase subclass of label-studio-ml 1.0.9, "path/to/file.py:Class".

    The class is imported now. It runs with the rights of this process: name only files that you would run yourself.
    An artefact never names a file; pass the recipe to `unpack(..., recipes=[hosted(spec)])`. `label_config` and
    `control` are needed for `fit`, not for `load`.

    UnknownName where there is no such file or class; BackendError where label-studio-ml is not installed.
    """
    path, _, name = spec.rpartition(":")
    file = Path(path)
    if not path or not name.isidentifier():
        raise UnknownName(f'{spec!r} is not a hosted model; wanted "path/to/file.py:Class".')
    if not file.is_file():
        raise UnknownName(f"there is no file {path!r}; wanted the Python file of a model.")
    base = _base_class(spec)
    source = file.read_bytes()
    loaded = getattr(_module(file, source), name, None)
    if not (isinstance(loaded, type) and issubclass(loaded, base)):
        raise UnknownName(f"{spec!r} names no subclass of LabelStudioMLBase.")
    digest = hashlib.sha256(source).hexdigest()[:12]
    return HostedRecipe(f"hosted-{file.stem}.{name}/{digest}", loaded, label_config, control)


@dataclass(frozen=True, slots=True)
class HostedRecipe:
    """Implements `Recipe`: fit() passes annotated tasks as 1.0.9 did, and keeps the train output that it returns.

    The name contains the hash of the file: an edited file is another recipe, so that its first model is judged as a
    change of recipe.
    """

    name: str
    model_class: Any
    label_config: str
    control: Control | None

    def fit(
        self,
        data: Tasks,
        labels: Sequence[str],
        *,
        field: str = "",  # noqa: ARG002 - the model reads the label config itself
        weights: Floats | None = None,  # noqa: ARG002 - 1.0.9 has no weights
        seed: int = 0,  # noqa: ARG002 - nor seeds
    ) -> HostedModel:
        """Train in an empty folder that is deleted afterwards, so fit() must return what the model learned."""
        if self.control is None:
            raise NotTrained(f"hosted model {self.name} has no control to learn.")
        if self.control.options:
            raise NotTrained(HOSTED_OPTIONS.format(self.control), hint=HOSTED_OPTIONS_HINT)
        if len(set(labels)) < 2:
            raise NotTrained(f"{len(labels)} rows of {len(set(labels))} class(es); wanted at least two classes.")
        rows = enumerate(zip(data, labels, strict=True), start=1)
        tasks = [_annotated(number, item, label, self.control) for number, (item, label) in rows]
        with tempfile.TemporaryDirectory(prefix="hitl-hosted-") as folder:
            try:
                output = self.model_class(label_config=self.label_config).fit(tasks, workdir=folder)
            except Exception as error:
                raise NotTrained(f"hosted model {self.name} failed in fit: {type(error).__name__}: {error}") from error
            written = sorted(file.name for file in Path(folder).rglob("*") if file.is_file())
        if written:
            raise NotTrained(
                f"hosted model {self.name} wrote {', '.join(written[:3])} in its workdir, which is deleted.",
                hint="Return the learned state from fit() as a JSON value.",
            )
        try:
            learned = json.dumps(output, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise NotTrained(f"hosted model {self.name}: what fit() returned is not JSON: {error}") from error
        state = {"train_output": learned, "label_config": self.label_config, "control": asdict(self.control)}
        return self.load(state)

    def vectors(self, data: Tasks, *, field: str) -> NDArray[np.float32]:
        """Return vectors of the built-in recipe for this kind of object; 1.0.9 has none."""
        if self.control is None:
            raise NotTrained(f"hosted model {self.name} has no control, so the kind of its objects is unknown.")
        return recipe_for(self.control).vectors(data, field=field)

    def load(self, state: Mapping[str, Any]) -> HostedModel:
        instance = self.model_class(label_config=state["label_config"], train_output=json.loads(state["train_output"]))
        return HostedModel(instance, Control.load(state["control"]), state)


class HostedModel:
    """Implements `Model`: the chosen class gets the score, the other classes share the rest evenly.

    A missing or impossible score counts as slightly better than chance; calibration on audit rows corrects it later.
    A task without an answer is a row of NaN.
    """

    def __init__(self, instance: Any, control: Control, state: Mapping[str, Any]) -> None:
        self.classes = tuple(sorted(control.labels))
        self._instance, self._control, self._state = instance, control, dict(state)
        self._column = {label: column for column, label in enumerate(self.classes)}

    def predict_proba(self, data: Tasks) -> Floats:
        """Return probabilities, shape (n, k); a batch that fails is repeated task by task."""
        answers = self._call(data)
        if answers is None:
            answers = [(self._call([item]) or [None])[0] for item in data]
        return np.array([self._row(answer) for answer in answers]).reshape(len(data), len(self.classes))

    def vectors(self, data: Tasks) -> NDArray[np.float32]:
        return recipe_for(self._control).vectors(data, field=self._control.field)

    def state(self) -> Mapping[str, Any]:
        """Return what fit() returned, as JSON; the code stays in its file."""
        return self._state

    def _call(self, data: Tasks) -> list[Any] | None:
        tasks = [{"id": place + 1, "data": dict(item)} for place, item in enumerate(data)]
        try:
            answers = list(self._instance.predict(tasks))
        except Exception:  # noqa: BLE001 - foreign code may raise anything; the task then has no answer
            return None
        return answers if len(answers) == len(tasks) else None

    def _row(self, answer: Any) -> Floats:
        k = len(self.classes)
        chosen, score = _choice(answer, self._control)
        if chosen not in self._column:
            return np.full(k, np.nan)
        floor = min(1.0, 1.0 / k + _MIN_LEAD)
        top = max(score, floor) if 0.0 <= score <= 1.0 else floor
        row = np.full(k, (1.0 - top) / max(k - 1, 1))
        row[self._column[chosen]] = top
        return row


def _choice(answer: Any, control: Control) -> tuple[str, float]:
    """Return the label that a 1.0.9 prediction chooses, and its score; ("", NaN) for none."""
    if not isinstance(answer, Mapping):
        return "", math.nan
    decoded = decode_result(answer.get("result")).answers.get(control.name)
    value = decoded.value if decoded else ()
    label = value[0] if isinstance(value, tuple) and len(value) == 1 else ""
    score: Any = answer.get("score")
    usable = isinstance(score, (int, float)) and not isinstance(score, bool)
    return str(label), float(score) if usable else math.nan


def _annotated(number: int, data: Mapping[str, Any], label: str, control: Control) -> dict[str, Any]:
    """Return a task as Label Studio exports it, with one annotation; older models read the key `completions`."""
    result = get_codec(control.kind).encode(Answer(control.kind, (label,)), control, None)
    annotations = [{"id": number, "result": result, "was_cancelled": False}]
    return {"id": number, "data": dict(data), "annotations": annotations, "completions": annotations}


def _module(file: Path, source: bytes) -> ModuleType:
    name = f"hitl_hosted_{hashlib.sha256(str(file.resolve()).encode() + source).hexdigest()[:16]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UnknownName(f"{str(file)!r} is not a Python file.")
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles of the module look for it in sys.modules
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UnknownName(f"{str(file)!r} cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _base_class(spec: str) -> type[Any]:
    # reason: label-studio-ml is not a dependency; only a hosted model needs it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a regular expression in label_studio_tools has an invalid escape
            from label_studio_ml.model import LabelStudioMLBase
    except ImportError as error:
        raise BackendError(
            f"hosting {spec!r} needs label-studio-ml 1.0.9, redis and rq: {error}.",
            hint="Run: pip install --no-deps label-studio-ml==1.0.9, and pip install redis rq.",
        ) from error
    return LabelStudioMLBase  # type: ignore[no-any-return]
