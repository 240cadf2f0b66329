"""What a server counts, in Prometheus' text format.

prometheus-client writes it: it is pure Python without dependencies, and knows the format's escapes and buckets.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
"""Upper bounds of buckets: from a small encoder on a PC to a long answer on a small board."""


class Metrics:
    """One server's counters. Counting is safe from any thread."""

    def __init__(self, model: str, task: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        about = Info("edgeslm_model", "The model that is served", registry=self._registry)
        about.info({"name": model, "task": task})
        self.requests = self._counter("requests", "Requests by route and HTTP status", ("route", "status"))
        self.cancelled = self._counter("cancelled", "Requests whose client left before the answer was complete")
        self.prompt_tokens = self._counter("prompt_tokens", "Tokens of prompts and embedded texts")
        self.generated_tokens = self._counter("generated_tokens", "Tokens of answers")
        self.places = self._gauge("places", "Requests that wait or are answered")
        self.answering = self._gauge("answering", "Requests that the model works on: 0 or 1")
        self.waited = self._histogram("queue_seconds", "Time that requests waited for the model")
        self.served = self._histogram("service_seconds", "Time that the model worked on a request")
        self.first_text = self._histogram("first_text_seconds", "From a request's arrival to its answer's first text")

    def text(self) -> bytes:
        """All of them, as Prometheus reads them."""
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(f"edgeslm_{name}", about, labels, registry=self._registry)

    def _gauge(self, name: str, about: str) -> Gauge:
        return Gauge(f"edgeslm_{name}", about, registry=self._registry)

    def _histogram(self, name: str, about: str) -> Histogram:
        return Histogram(f"edgeslm_{name}", about, buckets=SECONDS, registry=self._registry)
