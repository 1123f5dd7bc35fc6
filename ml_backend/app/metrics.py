"""Metrics of this process for /metrics, with prometheus-client; summed over workers in multiprocess mode."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

# name (with "hitl_") -> value, or values by project; read at each scrape
Values = Mapping[str, "float | Mapping[str, float]"]
Gauges = Callable[[], Values]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# 1 and 3 s: Label Studio's timeouts
_BUCKETS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 100.0)


class Metrics:
    """Counters of requests and predictions; `gauges()` adds values such as queue lengths, ages and versions.

    With PROMETHEUS_MULTIPROC_DIR set before the start, each worker writes there, and any worker answers for all. Gauges
    come from the store, which all workers share, so they are not summed.
    """

    def __init__(self, gauges: Gauges | None = None, *, on_count: Callable[[str, int], object] | None = None) -> None:
        # not the library's global registry, so that two apps in one process do not collide
        self._own = CollectorRegistry()
        self._gauges = gauges
        self._on_count = on_count  # called for each event, for counters that all processes share
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
        """Count one answered request."""
        timer = self._timers.get((route, status))
        if timer is None:
            timer = self._timers[route, status] = self._requests.labels(route, str(status))
        timer.observe(seconds)

    def count(self, event: str, how_many: int = 1) -> None:
        """Count an event; `event` is a constant of the code, never a caller's text."""
        counter = self._counters.get(event)
        if counter is None:
            counter = self._counters[event] = self._events.labels(event)
        counter.inc(how_many)
        if self._on_count is not None:
            self._on_count(event, how_many)

    def render(self) -> bytes:
        """Return all metrics as Prometheus text; gauges that cannot be read are left out and counted."""
        registry = self._own
        if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        try:
            gauges = self._gauges() if self._gauges else {}
        except Exception:  # noqa: BLE001 - counters must stay readable while the database is down
            self.count("gauges_failed")
            gauges = {}
        extra = CollectorRegistry()
        extra.register(_Values(gauges))
        return generate_latest(registry) + generate_latest(extra)


class _Values(Collector):
    def __init__(self, values: Values) -> None:
        self._values = values

    def collect(self) -> Iterable[GaugeMetricFamily | CounterMetricFamily]:
        """Yield names in `_total` as counters, as Prometheus wants, and others as gauges."""
        for name, value in sorted(self._values.items()):
            kind, text = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily, name.replace("_", " ")
            if not isinstance(value, Mapping):
                yield kind(name, text, value=value)
                continue
            family = kind(name, text, labels=["project"])
            for project, own in value.items():
                family.add_metric([project], own)
            yield family
