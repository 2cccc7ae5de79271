"""The numbers of the last night for Prometheus: a text file that node_exporter picks up."""

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from batch.records import moments
from batch.records.ledger import STATUSES, Run
from batch.reporting import summary


def write(run: Run, path: Path) -> None:
    """Write the file; a reader sees the old one or the new one, never a part.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_to_textfile(str(path), _numbers(run))


def _numbers(run: Run) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"nightsort_night_{name}", text, registry=registry).set(value)

    seen = summary.from_json(run.summary)
    gauge("start_timestamp_seconds", "When the last night began", moments.local(run.started_at).timestamp())
    gauge("end_timestamp_seconds", "When it ended", moments.local(run.finished_at).timestamp())
    gauge("sorting_seconds", "How long it sorted", run.seconds)
    gauge("exit_code", "Its exit code: 0 and 3 are well", run.exit_code if run.exit_code is not None else -1)
    gauge("review_share", "Share of the predicted photos that people have to look at", seen.review_share)
    gauge("confidence", "Mean probability of the sub-category", seen.mean_confidence)
    gauge("unusual", "1 when its photos were unlike those of other nights", bool(run.summary.get("unusual")))
    photos = Gauge("nightsort_night_photos", "Photos by outcome", ["status"], registry=registry)
    for status in STATUSES:
        photos.labels(status).set(run.counts.get(status, 0))
    waiting = Gauge(
        "nightsort_night_left", "Files still in incoming, by reason", ["reason"], registry=registry
    )
    for reason in ("too_young", "left_alone", "left_behind"):
        waiting.labels(reason).set(run.counts.get(reason, 0))
    subs = Gauge("nightsort_night_category_photos", "Photos by sub-category", ["name"], registry=registry)
    for name, count in seen.subs.items():
        subs.labels(name).set(count)
    release = Gauge("nightsort_night_release", "1 for each release in use", ["version"], registry=registry)
    for version in run.model_version.split(", "):
        release.labels(version).set(1)
    return registry
