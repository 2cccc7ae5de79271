"""What still waits: photos for people to decide, and photos in `incoming` for the next night."""

import os
from pathlib import Path

from batch.files.scan import Scan
from batch.records.ledger import Ledger
from batch.settings import BatchSettings

REVIEW = "review"


def for_review(ledger: Ledger, data_dir: Path) -> tuple[int, str]:
    """How many photos wait for a person, of all nights, and when the oldest was put there (UTC).

    Those that people have moved or taken away since the last night do not wait any more, although the ledger has
    not heard of it yet.
    """
    waiting = [
        decided_at
        for place, decided_at in ledger.waiting_at()
        if os.path.lexists(os.path.join(data_dir, place))
    ]
    return len(waiting), min(waiting, default="")


def in_incoming(settings: BatchSettings) -> int:
    """How many photos lie in `incoming`, those that are still uploading included; 0 where it cannot be read."""
    scan = Scan(settings.incoming, settings.settle_seconds, settings.ignore)
    try:
        return sum(1 for _ in scan) + scan.young + scan.restless
    except OSError:
        return 0
