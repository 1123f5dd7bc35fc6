"""A registry in memory and a model that reads its answer from the task: all that serving needs to be tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ml_backend.label_config import Control
from ml_backend.predictor import Predictor
from ml_backend.records import Answer

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="c" toName="text">'
    '<Choice value="A"/><Choice value="B"/></Choices></View>'
)
CONTROL = Control("c", "text", "choices", ("A", "B"), multiple=False, object_kind="text", field="text")


@dataclass(frozen=True)
class FakeRef:
    version: str
    digest: str


@dataclass(frozen=True)
class FakeArtefact:
    data: bytes


@dataclass(frozen=True)
class FakeBundle:
    """Says what stands in the task's text; "poison" breaks the whole call, as a careless plug-in would."""

    version: str
    control: Control = CONTROL
    calls: list[int] = field(default_factory=list, compare=False)
    indicators: tuple[str, ...] = ()

    def predict(
        self, data: Sequence[Mapping[str, Any]], *, names: Sequence[object] | None = None
    ) -> list[tuple[Answer | None, float | None]]:
        self.calls.append(len(data))
        if any(one.get("text") == "poison" for one in data):
            raise RuntimeError("a model that cannot read this")
        return [self._one(one.get("text")) for one in data]

    def _one(self, text: Any) -> tuple[Answer | None, float | None]:
        return (Answer("choices", (text,)), 0.75) if text in self.control.labels else (None, None)


@dataclass
class FakeRegistry:
    """Champions by project; what is put in `broken` cannot be loaded, `down` makes every question fail."""

    champions: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    formers: dict[str, str] = field(default_factory=dict)
    down: bool = False
    asked: int = 0
    loaded: list[str] = field(default_factory=list)
    control: Control = CONTROL
    on_load: Callable[[], object] = lambda: None

    def champion(self, project: str) -> Any:
        self.asked += 1
        if self.down:
            raise OSError("the database is down")
        version = self.champions.get(project)
        return version and FakeRef(version, f"digest of {version}")

    def previous_champion(self, project: str) -> Any:
        version = self.formers.get(project)
        return version and FakeRef(version, f"digest of {version}")

    def artefact(self, project: str, version: str) -> Any:
        return FakeArtefact(version.encode())

    def versions(self, project: str) -> list[str]:
        if self.down:
            raise OSError("the database is down")
        return [self.champions[project]] if project in self.champions else []

    def load(self, data: bytes, digest: str) -> Any:
        """What `Predictor(load=...)` takes."""
        self.on_load()
        version = data.decode()
        if version in self.broken or digest != f"digest of {version}":
            raise ValueError("not what was written")
        self.loaded.append(version)
        return FakeBundle(version, self.control)


class FakeClock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += seconds


def tasks(*texts: Any) -> list[dict[str, Any]]:
    return [{"id": number, "data": {"text": text}} for number, text in enumerate(texts, 1)]


def predicted_labels(results: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """What each result answers, None for an empty one."""
    return [one["result"][0]["value"]["choices"][0] if one["result"] else None for one in results]


def make(registry: FakeRegistry, **options: Any) -> Predictor:
    """A predictor over this registry, on a clock that stands still."""
    return Predictor(registry, **{"load": registry.load, "clock": FakeClock(), **options})
