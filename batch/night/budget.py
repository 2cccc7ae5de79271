"""The error budget: when so many photos fail that the fault may be the model server's rather than theirs."""

from collections import deque

STRETCH = 50
"""Fewer photos say nothing; and a server that goes wrong in the middle of a night is noticed after so many."""


class ErrorBudget:
    """Counts photos since the server was last found to be sound.

    >>> budget = ErrorBudget(0.5)
    >>> for _ in range(50):
    ...     budget.count("JPEG", failed=True)
    >>> budget.is_exceeded, budget.formats
    (True, ['JPEG'])
    """

    def __init__(self, share: float) -> None:
        """`share`: of the photos, so many may fail; with 1 they all may."""
        self.share = share
        self.renew()

    def count(self, photo_format: str, *, failed: bool) -> None:
        """Note what became of one photo."""
        self.photos += 1
        self.failed += failed
        self._latest.append(failed)
        if failed:
            self._formats.add(photo_format)

    @property
    def is_exceeded(self) -> bool:
        """Whether more than the share failed, of all of them or of the last `STRETCH`."""
        if self.photos < STRETCH:
            return False
        return self.failed > self.share * self.photos or sum(self._latest) > self.share * STRETCH

    @property
    def formats(self) -> list[str]:
        """The formats of those that failed."""
        return sorted(self._formats)

    def renew(self) -> None:
        """Count anew: the server is sound, so what has failed was the photos' own fault."""
        self.photos = self.failed = 0
        self._latest: deque[bool] = deque(maxlen=STRETCH)
        self._formats: set[str] = set()
