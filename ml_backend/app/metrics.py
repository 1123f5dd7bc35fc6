"""What this process counts for /metrics, in Prometheus text; summed over the workers in multiprocess mode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

Gauges = Callable[[], Mapping[str, float]]  # name (with "hitl_") -> value, asked at each scrape

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (
    0.001,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    3.0,
    10.0,
    100.0,
)  # 1 and 3 s: Label Studio's timeouts


class Metrics:
    """Counters of requests and predictions; `gauges()` adds what others know (queue lengths, ages, versions).

    With PROMETHEUS_MULTIPROC_DIR set before start, every worker writes there and any of them answers for all. Gauges
    come from one source that all workers share (the store), so they are never summed.
    """

    def __init__(self, gauges: Gauges | None = None, *, also: Callable[[str, int], object] | None = None) -> None:
        self._own = CollectorRegistry()  # not the library's global one: two apps in one process do not collide
        self._gauges = gauges
        self._also = also  # told of every count, so that what one process met is known to all
        self._requests = Histogram(
            "hitl_request_seconds",
            "Time to answer, by route and status.",
            ("route", "status"),
            registry=self._own,
            buckets=_BUCKETS_S,
        )
        self._events = Counter(
            "hitl_serving_events", "Tasks and other things by what happened to them.", ("event",), registry=self._own
        )
        self._timers: dict[tuple[str, int], Histogram] = {}
        self._counters: dict[str, Counter] = {}

    def request(self, route: str, status: int, seconds: float) -> None:
        """Note one answered request."""
        timer = self._timers.get((route, status))
        if timer is None:
            timer = self._timers[route, status] = self._requests.labels(route, str(status))
        timer.observe(seconds)

    def count(self, event: str, how_many: int = 1) -> None:
        """Note what happened; `event` is one of our own words, never a caller's."""
        counter = self._counters.get(event)
        if counter is None:
            counter = self._counters[event] = self._events.labels(event)
        counter.inc(how_many)
        if self._also is not None:
            self._also(event, how_many)

    def render(self) -> bytes:
        """Everything as Prometheus text; gauges that cannot be read are left out and counted."""
        registry = self._own
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        try:
            gauges = self._gauges() if self._gauges else {}
        except Exception:  # noqa: BLE001 - counters must stay readable while, say, the database is down
            self.count("gauges_failed")
            gauges = {}
        extra = CollectorRegistry()
        extra.register(_Values(gauges))
        return generate_latest(registry) + generate_latest(extra)


class _Values(Collector):
    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """What only grows is named `…_total`, as Prometheus wants."""
        for name, value in sorted(self._values.items()):
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            yield kind(name, name.replace("_", " "), value=value)
