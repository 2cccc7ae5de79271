"""How soon the audit shows that a promise is broken, and how often it says so of one that is kept: computed, not drawn.

    python -m benchmarks.audit

Every count of wrong photos that can be reached without an alarm has its probability; what reaches an alarm is taken out.
"""

import argparse

import numpy as np

from batch.columns import columns
from batch.reporting.audit import FALSE_ALARMS, evidence

YEAR = 3 * 365
"""Photos in a year of 300 photos a night, of which 1 % are audited."""


def alarms(wrong: float, tolerated: float, photos: int) -> np.ndarray:
    """The probability of an alarm by each photo, float (photos,), where this share is wrong and that one is tolerated."""
    quiet, found, limit = np.ones(1), np.zeros(photos), 1
    for number in range(photos):
        quiet = np.append(quiet * (1 - wrong), 0.0) + np.append(0.0, quiet * wrong)
        while limit <= number + 1 and evidence(limit, number + 1, tolerated) < 1 / FALSE_ALARMS:
            limit += 1
        found[number] = quiet[limit:].sum()
        quiet[limit:] = 0
    return found.cumsum()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    print(f"False alarms in a year ({YEAR} audited photos), where the promise is just kept:")
    kept = [("promised", "false alarms")]
    for promise in (0.8, 0.9, 0.95, 0.97, 0.99):
        kept.append((f"{promise:.2f}", f"{alarms(1 - promise, 1 - promise, YEAR)[-1]:.3f}"))
    print("\n".join(columns(kept, right=(0, 1))))
    print("\nAudited photos until an alarm, where 0.97 is promised:")
    broken = [("right in truth", "half of the time", "nine times of ten", "within the year")]
    for right in (0.96, 0.95, 0.94, 0.92, 0.9, 0.8, 0.7):
        found = alarms(1 - right, 0.03, YEAR)
        reached = [int(np.searchsorted(found, share)) + 1 for share in (0.5, 0.9)]
        first, last = [str(number) if number <= YEAR else f"over {YEAR}" for number in reached]
        broken.append((f"{right:.2f}", first, last, f"{found[-1]:.2f}"))
    print("\n".join(columns(broken, right=(0, 1, 2, 3))))


if __name__ == "__main__":
    main()
