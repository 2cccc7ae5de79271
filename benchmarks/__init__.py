"""How fast it is: one program a question, each with its own inputs and its competitors in the same call.

    python -m benchmarks.night      a whole sweep, against the machine's limit and the plain design
    python -m benchmarks.latency    one photo at a time, and 64 clients at once
    python -m benchmarks.scale      100,000 photos waiting, 1,000,000 rows in the ledger; memory over time
    python -m benchmarks.peers      the same model behind other model servers
    python -m benchmarks.accuracy   a night on labelled photos: every file accounted for, how many answers right
    python -m benchmarks.audit      how soon the audit shows that a promise is broken
    python -m benchmarks.extraction PHOTOS  the lab's masks and backgrounds, against rembg used plainly

Machines differ and are noisy: read the ratios, not the seconds. `docs/performance.md` has the tables.
"""

import telemetry  # noqa: F401 - before anything that would send some
