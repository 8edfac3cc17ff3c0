"""The metrics of a gateway for Prometheus. Names of sagas are labels; ids and people are not."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

MEDIA = CONTENT_TYPE_LATEST
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


@dataclass(slots=True)
class Metrics:
    """The counters of one gateway, in their own registry, so that two gateways in a process do not mix."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    _requests: Counter = field(init=False)
    _seconds: Histogram = field(init=False)
    _started: Counter = field(init=False)
    _ended: Counter = field(init=False)
    waiting: Gauge = field(init=False)
    connections: Gauge = field(init=False)
    tokens: Gauge = field(init=False)
    followed: Gauge = field(init=False)
    long_polls: Gauge = field(init=False)
    looks: Counter = field(init=False)
    questions: Counter = field(init=False)
    start_call: Histogram = field(init=False)
    open: Gauge = field(init=False)
    paused: Gauge = field(init=False)
    oldest_pause: Gauge = field(init=False)
    oldest_undo: Gauge = field(init=False)
    looked: Gauge = field(init=False)
    whole: Gauge = field(init=False)

    def __post_init__(self) -> None:
        self._requests = Counter(
            "sagadsl_gateway_requests",
            "Requests, by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sagadsl_gateway_request_seconds",
            "How long answers took.",
            ("route",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._started = Counter(
            "sagadsl_gateway_starts",
            "Requests to start a saga, by what came of them.",
            ("saga", "result"),
            registry=self.registry,
        )
        self.start_call = Histogram(
            "sagadsl_gateway_start_call_seconds",
            "How long Temporal took to start a saga.",
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._ended = Counter(
            "sagadsl_gateway_connections_ended",
            "Connections that the gateway ended, by reason.",
            ("why",),
            registry=self.registry,
        )
        self.waiting = Gauge("sagadsl_gateway_waiting", "Requests that wait for a change.", registry=self.registry)
        self.connections = Gauge("sagadsl_gateway_connections", "Connections.", registry=self.registry)
        self.tokens = Gauge(
            "sagadsl_gateway_tokens_usable", "1 while the file of tokens can be read.", registry=self.registry
        )
        self.tokens.set(1)
        self.open = self._of_sagas("sagadsl_open_sagas", "Open sagas, as the server's index knows them.")
        self.paused = self._of_sagas("sagadsl_paused_sagas", "Sagas that wait for an operator.")
        self.oldest_pause = self._of_sagas(
            "sagadsl_oldest_pause_seconds", "How long the saga waits that has waited longest; 0 if none does."
        )
        self.oldest_undo = self._of_sagas(
            "sagadsl_oldest_paused_undo_seconds",
            "How long the compensation waits for an operator that has waited longest; 0 if none does.",
        )
        self.looked = Gauge(
            "sagadsl_fleet_looked_timestamp_seconds", "When the sagas were counted.", registry=self.registry
        )
        self.whole = Gauge(
            "sagadsl_fleet_whole", "1 if no saga was left out when they were counted.", registry=self.registry
        )
        self.followed = Gauge(
            "sagadsl_gateway_followed", "Sagas that are followed, each for all who watch it.", registry=self.registry
        )
        self.long_polls = Gauge(
            "sagadsl_gateway_long_polls", "Long polls at Temporal for followed sagas.", registry=self.registry
        )
        self.looks = Counter("sagadsl_gateway_looks", "Looks at followed sagas.", registry=self.registry)
        self.questions = Counter(
            "sagadsl_gateway_questions",
            "Sagas that were asked how they stand, by their workers.",
            registry=self.registry,
        )

    def _of_sagas(self, name: str, about: str) -> Gauge:
        return Gauge(name, about, ("saga",), registry=self.registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; its *route* is the pattern, so that ids do not become labels."""
        self._requests.labels(method, route or "none", str(status)).inc()
        self._seconds.labels(route or "none").observe(seconds)

    def start(self, saga: str, result: str) -> None:
        """Count a start: ``started``, ``repeated``, ``refused``."""
        self._started.labels(saga, result).inc()

    def ended(self, why: str) -> None:
        """Count a connection that the gateway ended: ``head``, ``body``, ``taking``, ``room``, ``refused``."""
        self._ended.labels(why).inc()

    def page(self) -> bytes:
        """Return all counters in the format of Prometheus."""
        return generate_latest(self.registry)
