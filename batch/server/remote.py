"""A model server that somebody else runs: it is asked, and neither started nor ended."""

from api_answers import Health
from batch.server.client import Client, SidecarError
from batch.server.sidecar import SidecarDownError


class Remote:
    """The server at an address.

    >>> Remote("http://me:secret@gpu:5000").name
    'http://gpu:5000'
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.client = Client(url, token)

    @property
    def name(self) -> str:
        """Its address, without secrets."""
        return self.client.url

    def make_ready(self) -> Health:
        """Its health, when it is ready.

        Raises:
            SidecarDownError: it will not become ready by waiting.
            SidecarError: it is not ready.
        """
        health = self.client.health()
        if health.status == "broken":
            raise SidecarDownError(f"the model cannot be used: {health.detail}")
        if health.status != "ready":
            raise SidecarError(health.detail or "it is still loading")
        return health

    def kill(self, hanging: Client) -> None:
        """Leave it alone."""

    def worked(self) -> None:
        """It counts no deaths."""

    def stop(self) -> None:
        """Leave it alone."""
