"""The BentoML service that `benchmarks.peers` compares with."""

from pathlib import Path

import bentoml

from api.engine import usable_cores
from benchmarks.answerer import BATCH, answerer


@bentoml.service(workers=usable_cores(), traffic={"timeout": 60, "max_concurrency": 64})
class Service:
    """Answers photos, gathered into batches by BentoML."""

    def __init__(self) -> None:
        self.answer = answerer()

    @bentoml.api(batchable=True, max_batch_size=BATCH, max_latency_ms=2000)  # type: ignore[untyped-decorator]
    def predict(self, photo: list[Path]) -> list[str]:
        """The sub-category of each photo."""
        return self.answer([path.read_bytes() for path in photo])
