"""The night: finds photos in `incoming`, asks the sidecar about them, records, files and reports.

`run` is one night; `sweep` one pass over the folder; `ledger` what is known of every photo.
This package talks to the model server over HTTP only and imports no machine learning.
"""

import telemetry  # noqa: F401 - before anything that would send some
