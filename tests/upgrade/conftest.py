"""The night's fixtures, here too."""

from tests.batch.conftest import (  # noqa: F401 - pytest finds fixtures by name
    _no_settings_from_outside,
    do,
    examine,
    make_night,
    night,
    sidecar,
)
