"""What the sidecar counts, for Prometheus and for `/stats`."""

import time
from collections import Counter as Tally
from collections.abc import Sequence

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

from api.engine import Answered
from api_answers import Stats
from decoder import PhotoError
from model.serving.classes import HEADS


class Metrics:
    """The counters of one server."""

    CONTENT_TYPE = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "nightsort_requests", "Requests answered", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "nightsort_request_seconds",
            "Time from the whole request to its answer",
            ["path"],
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "nightsort_requests_in_flight",
            "Requests waiting for a core or worked on",
            registry=self._registry,
        )
        self._release = Gauge(
            "nightsort_release", "1 for the release in use", ["version"], registry=self._registry
        )
        self._photos = Counter(
            "nightsort_photos", "Photos answered, by outcome", ["outcome"], registry=self._registry
        )
        self._classes = Counter(
            "nightsort_predictions",
            "Predictions by head and class",
            ["head", "name"],
            registry=self._registry,
        )
        self._confidence = Histogram(
            "nightsort_confidence",
            "Probability of the chosen class",
            ["head"],
            buckets=[0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0],
            registry=self._registry,
        )
        self._batch = Histogram(
            "nightsort_batch_photos",
            "Photos in one request",
            buckets=[1, 4, 16, 64, 256, 1024],
            registry=self._registry,
        )
        self._work = Counter(
            "nightsort_work_seconds",
            "Time spent on photos, waiting for a core included",
            registry=self._registry,
        )

    def count(self, answers: Sequence[Answered | PhotoError], seconds: float) -> None:
        """Count the photos of one request."""
        self._batch.observe(len(answers))
        self._work.inc(seconds)
        predictions = [answer.prediction for answer in answers if not isinstance(answer, PhotoError)]
        outcomes = Tally("review" if prediction.needs_review else "sure" for prediction in predictions)
        outcomes.update(answer.code for answer in answers if isinstance(answer, PhotoError))
        for outcome, number in outcomes.items():
            self._photos.labels(outcome).inc(number)
        given = [prediction.answers() for prediction in predictions]
        for head in HEADS:
            chosen = [answers[head] for answers in given if head in answers]
            for name, number in Tally(answer.name for answer in chosen).items():
                self._classes.labels(head, name).inc(number)
            confidence = self._confidence.labels(head)
            for answer in chosen:
                confidence.observe(answer.probability)

    def exposition(self, release: str) -> bytes:
        """Everything in Prometheus' text format; `release` is the one in use, or nothing while there is none."""
        self._release.clear()
        self._release.labels(release).set(bool(release))
        return generate_latest(self._registry)

    def totals(self, uptime_seconds: float) -> Stats:
        """The counts that people ask for."""
        heads: dict[str, dict[str, int]] = {head: {} for head in HEADS}
        for labels, value in _values(self._classes):
            heads[labels["head"]][labels["name"]] = value
        return Stats(
            uptime_seconds=uptime_seconds,
            requests={
                f"{labels['path']} {labels['status']}": value for labels, value in _values(self.requests)
            },
            photos={labels["outcome"]: value for labels, value in _values(self._photos)},
            predictions=heads,
        )


def register(app: Flask) -> None:
    """Count every request of the app."""

    @app.before_request
    def note_start() -> None:
        g.started = time.perf_counter()
        app.extensions["metrics"].in_flight.inc()

    @app.after_request
    def count(response: Response) -> Response:
        metrics: Metrics = app.extensions["metrics"]
        # the rule, not the path: what people make up must not become label values without end
        path = request.url_rule.rule if request.url_rule else "other"
        metrics.requests.labels(path, response.status_code).inc()
        metrics.seconds.labels(path).observe(time.perf_counter() - g.get("started", time.perf_counter()))
        return response

    @app.teardown_request
    def note_end(_: BaseException | None) -> None:
        if "started" in g:
            app.extensions["metrics"].in_flight.dec()


def _values(counter: Counter) -> list[tuple[dict[str, str], int]]:
    samples = [sample for metric in counter.collect() for sample in metric.samples]
    return [(sample.labels, int(sample.value)) for sample in samples if sample.name.endswith("_total")]
