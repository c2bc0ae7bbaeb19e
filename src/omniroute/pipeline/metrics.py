"""Counters of what requests did, for Prometheus. No label is what a client wrote.

Names follow Prometheus' own rules: base units, `_total` for counters.
"""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from omniroute.pipeline.exchange import ChatCall
from omniroute.routing.trace import AttemptTrace, RouteTrace

MOST_MODELS = 1_000
"""Models with series of their own; whatever comes after them is counted as `other`."""

OTHER = "other"
_DURATIONS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_OVERHEADS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)


class Metrics:
    """What this process has counted since it began."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._models: set[tuple[str, str]] = set()
        self._requests = Counter(
            "omniroute_requests",
            "Requests for a model, by how they ended.",
            ("door", "outcome", "source"),
            registry=registry,
        )
        self._durations = Histogram(
            "omniroute_request_duration_seconds",
            "How long requests took.",
            ("door",),
            buckets=_DURATIONS_S,
            registry=registry,
        )
        self._overheads = Histogram(
            "omniroute_gateway_duration_seconds",
            "The gateway's own share of that: everything but waiting for upstreams.",
            (),
            buckets=_OVERHEADS_S,
            registry=registry,
        )
        self._attempts = Counter(
            "omniroute_attempts",
            "Attempts at upstreams, by verdict; `ok` for those that answered.",
            ("provider", "verdict"),
            registry=registry,
        )
        self._first = Histogram(
            "omniroute_time_to_first_content_seconds",
            "How long upstreams took until their first content.",
            ("provider",),
            buckets=_DURATIONS_S,
            registry=registry,
        )
        self._tokens = Counter(
            "omniroute_tokens",
            "Tokens by kind; kinds are disjoint.",
            ("provider", "model", "kind"),
            registry=registry,
        )
        self._cost = Counter(
            "omniroute_cost_usd",
            "What requests cost, where a price is known.",
            ("provider", "model"),
            registry=registry,
        )
        self._gauges: dict[str, Gauge] = {}
        ProcessCollector(registry=registry)

    def observe(self, call: ChatCall, trace: RouteTrace) -> None:
        """Count a finished request."""
        self._requests.labels(trace.door, trace.outcome, trace.source).inc()
        self._durations.labels(trace.door).observe(trace.duration_ms / 1000)
        if call.watch is not None:
            self._overheads.observe(call.watch.gateway_s)
        for attempt in trace.attempts:
            self._attempts.labels(attempt.provider, attempt.verdict or "ok").inc()
            if attempt.ttft_ms is not None:
                self._first.labels(attempt.provider).observe(attempt.ttft_ms / 1000)
            self._count_usage(attempt)

    def _count_usage(self, attempt: AttemptTrace) -> None:
        usage = attempt.usage
        if usage is None:
            return
        place = attempt.provider, self._known(attempt.provider, attempt.model)
        for kind, count in (
            ("input", usage.input_tokens),
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens + usage.cache_write_1h_tokens),
            ("output", usage.output_tokens),
            ("reasoning", usage.reasoning_tokens),
        ):
            if count:
                self._tokens.labels(*place, kind).inc(count)
        if attempt.cost_micro_usd:
            self._cost.labels(*place).inc(attempt.cost_micro_usd / 1e6)

    def _known(self, provider: str, model: str) -> str:
        if (provider, model) in self._models:
            return model
        if len(self._models) >= MOST_MODELS:
            return OTHER
        self._models.add((provider, model))
        return model

    def set(
        self, name: str, told: str, values: Mapping[tuple[str, ...], float], *labels: str
    ) -> None:
        """Say how something stands right now; values that are not named are gone."""
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = Gauge(name, told, labels, registry=self.registry)
        if labels:
            gauge.clear()
        for place, value in values.items():
            (gauge.labels(*place) if labels else gauge).set(value)

    def text(self) -> bytes:
        """Everything, in the text format Prometheus reads."""
        return generate_latest(self.registry)
