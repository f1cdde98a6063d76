"""The figures of the service, for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from search.index import Index

SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)


class Metrics:
    """Latencies, errors and sizes."""

    def __init__(self, index: Index) -> None:
        """Count from 0."""
        self._index = index
        self._registry = CollectorRegistry()
        self._latency = Histogram(
            "reid_request_seconds",
            "Time from the first byte of a request to the last of its answer",
            ("method", "route"),
            buckets=SECONDS,
            registry=self._registry,
        )
        self._answers = Counter(
            "reid_answers",
            "Answers by status",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._photos = Gauge("reid_photos", "Photos in the index", registry=self._registry)
        self._people = Gauge("reid_people", "Named people in the index", registry=self._registry)
        self._waiting = Gauge(
            "reid_waiting_requests",
            "Requests that compute or wait for it",
            registry=self._registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._latency.labels(method, route).observe(seconds)
        self._answers.labels(method, route, str(status)).inc()

    def waiting(self, number: int) -> None:
        """Note how many requests compute or wait."""
        self._waiting.set(number)

    def text(self) -> bytes:
        """Return all figures in Prometheus's text format."""
        self._photos.set(self._index.size())
        self._people.set(len(self._index.people()))
        return generate_latest(self._registry)
