"""The champion of one project as one process holds it: the loaded model, and its bundle for each label config."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ml_backend.label_config import LabelConfig
from ml_backend.records import Indicators, Task

if TYPE_CHECKING:
    from ml_backend.registry import Bundle, ModelRef

BlindRule = Callable[[Task], bool]  # whether a task must be shown without a prediction
IndicatorReader = Callable[[Sequence[Task]], Sequence[Indicators]]  # (n,) the current indicators of each task

_MAX_CONFIGS = 32  # label configs kept per model; a project has one at a time
NEVER_CHECKED = float("-inf")


@dataclass(slots=True)
class LoadedModel:
    """One loaded champion, and its bundle for each label config that was asked for."""

    ref: ModelRef
    bundle: Bundle
    bundle_by_config: dict[str, Bundle | None] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Return M, the model version that predictions carry."""
        return self.ref.version

    def bundle_for(self, config: LabelConfig) -> Bundle | None:
        """Return the bundle with the control of this config; None where the config asks another question."""
        if config.hash not in self.bundle_by_config:
            if len(self.bundle_by_config) >= _MAX_CONFIGS:
                self.bundle_by_config.clear()
            control = config.matching_control(self.bundle.control)
            self.bundle_by_config[config.hash] = replace(self.bundle, control=control) if control else None
        return self.bundle_by_config[config.hash]


@dataclass(slots=True)
class ProjectModel:
    """The state of one project's champion; a thread that looks for a new champion holds `lock`."""

    serving: LoadedModel | None = None
    blind: BlindRule | None = None  # set whenever there is a champion
    read_indicators: IndicatorReader | None = None  # the same
    checked_s: float = NEVER_CHECKED
    failed: tuple[ModelRef, float] | None = None  # the champion that could not be loaded, and when
    lock: threading.Lock = field(default_factory=threading.Lock)

    def recently_failed(self, ref: ModelRef, now: float, retry_s: float) -> bool:
        """Whether loading this same champion failed less than `retry_s` ago."""
        return self.failed is not None and self.failed[0] == ref and 0 <= now - self.failed[1] < retry_s
