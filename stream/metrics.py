"""Metrics that count: the declarations of `schemas.metrics` as Prometheus families in a registry of their own.

One `Metrics` is made at the start of a process and handed to those who count; there is none to reach for. A worker
serves its own port (0 takes a free one), on loopback unless told otherwise.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server
from prometheus_client.metrics import MetricWrapperBase

from schemas.errors import SmartError
from schemas.metrics import METRICS, Metric

Label = str | int


class Metrics:
    """Declared metrics, all or those of one kind of process; a label is given by its name:
    `metrics.count(EVENTS_CONSUMED, 40, topic="events.cart")`.
    """

    def __init__(self, declared: Iterable[Metric] = METRICS) -> None:
        self.registry: Final = CollectorRegistry()
        self._families: Final = {metric: _family(metric, self.registry) for metric in declared}
        ProcessCollector(registry=self.registry)

    def count(self, metric: Metric, amount: float = 1, **labels: Label) -> None:
        """Add to a counter."""
        self._series(metric, labels).inc(amount)

    def set(self, metric: Metric, value: float, **labels: Label) -> None:
        """Set a gauge."""
        self._series(metric, labels).set(value)

    def observe(self, metric: Metric, value: float, **labels: Label) -> None:
        """Add one observation to a histogram, in its unit."""
        self._series(metric, labels).observe(value)

    def forget_partition(self, partition: int) -> None:
        """Drop every series of a partition that is not ours any more: its new owner tells it now."""
        for metric, family in self._families.items():
            if "partition" in metric.labels:
                family.remove_by_labels({"partition": str(partition)})

    def value(self, metric: Metric, **labels: Label) -> float | None:
        """Tell what a counter or gauge stands at; None where it has no such series."""
        return self.registry.get_sample_value(metric.name, {name: str(label) for name, label in labels.items()})

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[int]:
        """Serve /metrics on `host` while the block runs; yields the port, which is a free one where `port` is 0.

        Raises SmartError where the port is taken.
        """
        try:
            server, thread = start_http_server(port, host, self.registry)
        except OSError as error:
            raise SmartError(
                f"metrics cannot be served on {host}:{port} ({error.strerror}); set SMART_METRICS_PORT"
            ) from None
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _series(self, metric: Metric, labels: dict[str, Label]) -> Any:
        family = self._families[metric]
        return family.labels(**labels) if labels else family


def _family(metric: Metric, registry: CollectorRegistry) -> MetricWrapperBase:
    match metric.kind:
        case "counter":
            return Counter(metric.name, metric.help, metric.labels, registry=registry)
        case "gauge":
            return Gauge(metric.name, metric.help, metric.labels, registry=registry)
        case "histogram":
            return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
