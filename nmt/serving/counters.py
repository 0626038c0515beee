"""The metrics of a server, for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from nmt.serving.served import ServedModel

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counters:
    """The metrics of one server.

    Args:
        waiting: returns the number of lines queued or in progress.
    """

    def __init__(self, waiting: Callable[[], float]):
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nmt_requests", "Requests answered", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "nmt_request_seconds",
            "Seconds from a request's last byte to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._lines = Counter(
            "nmt_lines", "Lines accepted for translation", ["model"], registry=self._registry
        )
        self._batches = Histogram(
            "nmt_batch_lines", "Lines done together", buckets=_LINES, registry=self._registry
        )
        self._work = Counter("nmt_work_seconds", "Seconds of work", registry=self._registry)
        self._reloads = Gauge(
            "nmt_reloads", "Newer models loaded since the start", ["model"], registry=self._registry
        )
        queue = Gauge("nmt_queue_lines", "Lines queued or in work", registry=self._registry)
        queue.set_function(waiting)

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request; `path` is one of a fixed set, which bounds the labels."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def lines(self, model: str, count: int) -> None:
        """Count accepted lines."""
        self._lines.labels(model).inc(count)

    def batch(self, count: int, seconds: float) -> None:
        """Count a finished batch."""
        self._batches.observe(count)
        self._work.inc(seconds)

    def follow_reloads(self, model: ServedModel) -> None:
        """Expose the number of reloads of a model."""
        self._reloads.labels(model.name).set_function(lambda: model.reloads)

    def page(self) -> bytes:
        """Return all metrics in Prometheus's text format."""
        return generate_latest(self._registry)
