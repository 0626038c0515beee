"""The metrics of a server, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LINES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Counters:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter(
            "nmt_requests", "Requests answered", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "nmt_request_seconds",
            "Seconds from a request's last byte to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.lines = Counter(
            "nmt_lines", "Lines accepted for translation", ["model"], registry=registry
        )
        self.batches = Histogram(
            "nmt_batch_lines", "Lines done together", buckets=_LINES, registry=registry
        )
        self.work = Counter("nmt_work_seconds", "Seconds of work", registry=registry)
        self.reloads = Gauge(
            "nmt_reloads", "Newer models loaded since the start", ["model"], registry=registry
        )
        self.queue = Gauge("nmt_queue_lines", "Lines queued or in work", registry=registry)

    def batch(self, count: int, seconds: float) -> None:
        """Count a finished batch."""
        self.batches.observe(count)
        self.work.inc(seconds)
