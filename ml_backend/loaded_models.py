"""What one process knows of a project's champion: the loaded model, and how it stands under label configs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ml_backend.label_config import LabelConfig
from ml_backend.records import Known, Task

if TYPE_CHECKING:
    from ml_backend.registry import Bundle, Ref

Blind = Callable[[Task], bool]  # whether a task must be shown without a prediction
Beside = Callable[[Sequence[Task]], Sequence[Known]]  # what is known now beside the data of each of these tasks

_MOST_CONFIGS = 32  # label configs remembered per model; a project has one at a time
NEVER = float("-inf")


@dataclass(slots=True)
class Serving:
    """One loaded champion, and how it stands under the label configs it was asked for."""

    ref: Ref
    bundle: Bundle
    fitted: dict[str, Bundle | None] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """M, as predictions carry it."""
        return self.ref.version

    def under(self, config: LabelConfig) -> Bundle | None:
        """The model as it may speak under this config; None where it may not speak at all."""
        if config.hash not in self.fitted:
            if len(self.fitted) >= _MOST_CONFIGS:
                self.fitted.clear()
            control = config.same_question(self.bundle.control)
            self.fitted[config.hash] = replace(self.bundle, control=control) if control else None
        return self.fitted[config.hash]


@dataclass(slots=True)
class Seat:
    """What is known of one project's champion; `lock` is held by whoever looks for a new one."""

    serving: Serving | None = None
    blind: Blind | None = None  # never None beside a champion
    beside: Beside | None = None  # the same
    checked_s: float = NEVER
    failed: tuple[Ref, float] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def recently_failed(self, ref: Ref, now: float, retry_s: float) -> bool:
        """Whether this very champion could not be loaded a moment ago."""
        return self.failed is not None and self.failed[0] == ref and 0 <= now - self.failed[1] < retry_s
