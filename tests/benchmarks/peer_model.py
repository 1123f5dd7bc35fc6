"""The peer: label-studio-ml 1.0.9 with a model that does nothing but answer; gunicorn calls `create`."""

from __future__ import annotations

import os
from typing import Any

from label_studio_ml.api import init_app
from label_studio_ml.model import LabelStudioMLBase


class Trivial(LabelStudioMLBase):  # type: ignore[misc]
    """Answers the first label with the same score, as fast as Python can."""

    def predict(self, tasks: Any, **kwargs: Any) -> Any:
        """One result per task."""
        name, control = next(iter(self.parsed_label_config.items()))
        value = {"choices": [control["labels"][0]]}
        region = {"from_name": name, "to_name": control["to_name"][0], "type": "choices", "value": value}
        return [{"result": [region], "score": 0.5} for _ in tasks]

    def fit(self, tasks: Any, workdir: Any = None, **kwargs: Any) -> Any:
        """Learn nothing."""
        return {}


def create() -> Any:
    """The app of 1.0.9, with its models under PEER_MODEL_DIR."""
    return init_app(Trivial, model_dir=os.environ["PEER_MODEL_DIR"])
