"""The champion of each project, kept loaded and asked: one Label Studio result per task, in order, always."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ml_backend.codecs import codec
from ml_backend.errors import BackendError
from ml_backend.label_config import read_label_config
from ml_backend.loaded_models import NEVER, Beside, Blind, Seat, Serving
from ml_backend.records import Known, Task, with_known

if TYPE_CHECKING:
    from ml_backend.registry import Bundle, Registry

COLD = "hitl-0"  # the version before any champion: it predicts nothing
Result = dict[str, Any]  # {"result": [regions], "score": confidence in [0, 1], "model_version": M}
_Said = tuple[list[dict[str, Any]], float]  # regions, confidence
Count = Callable[[str, int], None]  # told what happened, and to how many

_CHUNK = 2_000  # tasks per model call: the features of a 100,000-task body are never in memory at once
_MOST_SEATS = 4_096  # projects remembered, loaded or not; a seat without a model is a few hundred bytes
_log = logging.getLogger(__name__)


class Predictor:
    """Answers predictions for every project, from whichever champion its registry names now.

    Safe in threads. A new champion is loaded beside the serving one and swapped in whole; one that cannot be loaded
    leaves the previous one serving, is counted and tried again after `retry_s`. At most `keep` models stay loaded, the
    least recently asked goes first. `blind(project)` gives the rule by which tasks must be shown without a prediction;
    it is asked for as often as the champion, and so is `beside(project)`, which reads what is known beside the data of
    tasks, for models that learned from it. `load(data, digest)` builds a bundle; `count(event, how_many)` is told what
    happened.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        blind: Callable[[str], Blind] | None = None,
        beside: Callable[[str], Beside] | None = None,
        cache_s: float = 0.5,
        retry_s: float = 30.0,
        keep: int = 16,
        clock: Callable[[], float] = time.monotonic,
        load: Callable[[bytes, str], Bundle] | None = None,
        count: Count | None = None,
    ) -> None:
        self._registry = registry
        self._blind = blind or (lambda _project: _shows_all)
        self._beside = beside or (lambda _project: _knows_nothing)
        self._cache_s, self._retry_s, self._keep = cache_s, retry_s, keep
        self._clock = clock
        self._load = load or _unpack
        self._count = count or _nobody_counts
        self._lock = threading.Lock()  # guards the order of the seats
        self._seats: OrderedDict[str, Seat] = OrderedDict()  # least recently asked first

    def version(self, project: str) -> str:
        """M: the version that predictions of this project carry now; `hitl-0` before any champion."""
        serving = self._seated(project).serving
        return serving.version if serving else COLD

    def versions(self, project: str) -> list[str]:
        """Every version that the registry holds, or the one that serves where it holds none or cannot be read."""
        try:
            held = list(self._registry.versions(project))
        except Exception as error:  # noqa: BLE001 - a database that is down; what serves is known without it
            _log.error("versions of project %s: %s", project, error)
            held = []
        return held or [self.version(project)]

    def serving(self) -> list[str]:
        """The versions that serve now, over all projects that this process was asked for."""
        with self._lock:
            seats = list(self._seats.values())
        return sorted({seat.serving.version for seat in seats if seat.serving}) or [COLD]

    def predict(self, project: str, label_config: str, tasks: Sequence[Any]) -> list[Result]:
        """Give one Label Studio result per raw task, in order; the empty result where there is nothing to show.

        LabelConfigError for a config that cannot be read; nothing else is raised, whatever the tasks hold.
        """
        config = read_label_config(label_config)
        seat = self._seated(project)
        serving, blind = seat.serving, seat.blind
        if serving is None or blind is None:
            self._count("cold", len(tasks))
            return [_empty(COLD) for _ in tasks]
        results = [_empty(serving.version) for _ in tasks]
        fitted = serving.under(config)
        if fitted is None:
            self._count("misfit", len(tasks))
            return results
        shown = [place for place, raw in enumerate(tasks) if self._may_show(project, raw, blind)]
        for start in range(0, len(shown), _CHUNK):
            places = shown[start : start + _CHUNK]
            data = self._data(project, fitted, [tasks[place] for place in places], seat.beside)
            for place, result in zip(places, self._ask(fitted, data), strict=True):
                if result is not None:
                    results[place]["result"], results[place]["score"] = result
        return results

    def _may_show(self, project: str, raw: Any, blind: Blind) -> bool:
        """Whether a raw task can be read and may be shown with a prediction."""
        data = raw.get("data") if isinstance(raw, Mapping) else None
        if not isinstance(data, Mapping):
            self._count("unreadable", 1)
            return False
        try:
            hidden = blind(_task(project, raw))
        except Exception:  # noqa: BLE001 - the rule is the caller's; a prediction that was shown cannot be unseen
            self._count("blind_unknown", 1)
            return False
        if hidden:
            self._count("blind", 1)
        return not hidden

    def _data(
        self, project: str, fitted: Bundle, tasks: Sequence[Any], beside: Beside | None
    ) -> list[Mapping[str, Any]]:
        """What the model reads of raw tasks: their own data, and what is known beside it where it learned from that."""
        if not fitted.beside or beside is None:
            return [with_known(raw["data"], {}) for raw in tasks]
        try:
            known = beside([_task(project, raw) for raw in tasks])
        except Exception as error:  # noqa: BLE001 - the read is the caller's; without it the task's own data still speak
            self._count("beside_unknown", len(tasks))
            _log.error("project %s: what is known beside its tasks cannot be read: %s", project, error)
            known = [{}] * len(tasks)
        return [with_known(raw["data"], one) for raw, one in zip(tasks, known, strict=True)]

    def _ask(self, fitted: Bundle, data: list[Mapping[str, Any]]) -> list[_Said | None]:
        """Regions and confidence of each task, None where the model has no answer."""
        try:
            said = _say(fitted, data)
        except Exception:  # noqa: BLE001 - a model is a plug-in: it may raise anything, and costs one task at most
            _log.exception("a model call of %d tasks failed; asking in halves", len(data))
            said = self._ask_in_halves(fitted, data)
        if missing := sum(one is None for one in said):
            self._count("unanswered", missing)
        return said

    def _ask_in_halves(self, fitted: Bundle, data: list[Mapping[str, Any]]) -> list[_Said | None]:
        """Close in on the task that breaks the call: of 2,000 it costs itself and some twenty calls, no neighbour."""
        try:
            return _say(fitted, data)
        except Exception:  # noqa: BLE001 - as above
            self._count("model_failed", 1)
            middle = len(data) // 2
            if not middle:
                return [None]
            return [*self._ask_in_halves(fitted, data[:middle]), *self._ask_in_halves(fitted, data[middle:])]

    def _seated(self, project: str) -> Seat:
        """What is known of a project, looked up again after `cache_s`."""
        seat = self._seat(project)
        if 0 <= self._clock() - seat.checked_s < self._cache_s:
            return seat
        # Who asks first waits for the model; later, whoever finds the door locked is served by the previous champion.
        if seat.lock.acquire(blocking=seat.checked_s == NEVER):
            try:
                if not 0 <= self._clock() - seat.checked_s < self._cache_s:
                    self._look(project, seat)
            finally:
                seat.lock.release()
        return seat

    def _look(self, project: str, seat: Seat) -> None:
        """Ask who is champion and what is blind, and load a new champion; whatever fails, the previous one stays."""
        now = self._clock()
        try:
            ref = self._registry.champion(project)
            if ref is None:
                seat.serving = None
                return
            seat.blind, seat.beside = self._blind(project), self._beside(project)
            if (seat.serving is None or seat.serving.ref != ref) and not seat.recently_failed(ref, now, self._retry_s):
                seat.failed = (ref, now)
                bundle = self._load(self._registry.artefact(project, ref.version).data, ref.digest)
                seat.serving, seat.failed = Serving(ref, bundle), None
                self._count("loaded", 1)
                self._unload_others(project)
        except Exception as error:  # noqa: BLE001 - a database that is down, an artefact of anyone's making: keep serving
            self._count("load_failed", 1)
            self._sit_back(project, seat)
            _log.error("project %s keeps %s: %s", project, seat.serving and seat.serving.version, error)
        finally:
            seat.checked_s = self._clock()

    def _sit_back(self, project: str, seat: Seat) -> None:
        """A process that was started after a champion was damaged serves the one before it."""
        if seat.serving is not None or seat.blind is None:
            return
        try:
            former = self._registry.former(project)
            if former is not None:
                bundle = self._load(self._registry.artefact(project, former.version).data, former.digest)
                seat.serving = Serving(former, bundle)
                self._unload_others(project)
        except Exception as error:  # noqa: BLE001 - the same: it answers empty until one of them can be read
            _log.error("project %s: neither can the model before be loaded: %s", project, error)

    def _seat(self, project: str) -> Seat:
        with self._lock:
            seat = self._seats.get(project)
            if seat is None:
                seat = self._seats[project] = Seat()
                if len(self._seats) > _MOST_SEATS:
                    self._seats.popitem(last=False)
            else:
                self._seats.move_to_end(project)
            return seat

    def _unload_others(self, project: str) -> None:
        """Forget the models least recently asked, beyond the number that may stay loaded."""
        with self._lock:
            loaded = [name for name, seat in self._seats.items() if seat.serving and name != project]
            for name in loaded[: max(0, len(loaded) - self._keep + 1)]:
                self._seats[name] = Seat()


def _say(fitted: Bundle, data: list[Mapping[str, Any]]) -> list[_Said | None]:
    encode = codec(fitted.control.kind).encode
    answers = fitted.predict(data)
    if len(answers) != len(data):
        raise BackendError(f"the model gave {len(answers)} answers to {len(data)} tasks.")
    return [
        None
        if answer is None or score is None or not math.isfinite(score)
        else (encode(answer, fitted.control, score), round(min(1.0, max(0.0, float(score))), 6))
        for answer, score in answers
    ]


def _task(project: str, raw: Mapping[str, Any]) -> Task:
    number = raw.get("id")
    return Task(number if isinstance(number, int) else 0, raw["data"], project)


def _shows_all(_task: Task) -> bool:
    return False


def _knows_nothing(tasks: Sequence[Task]) -> Sequence[Known]:
    return [{}] * len(tasks)


def _empty(version: str) -> Result:
    return {"result": [], "score": 0.0, "model_version": version}


def _unpack(data: bytes, digest: str) -> Bundle:
    # reason: scikit-learn takes a second to import; a cold start serves without it
    from ml_backend.registry import unpack

    return unpack(data, digest)


def _nobody_counts(_event: str, _how_many: int) -> None:
    return None
