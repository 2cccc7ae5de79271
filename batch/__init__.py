"""The night: finds photos in `incoming`, asks the sidecar about them, records, files and reports.

`night` is what happens in which order, `server` the model server as the night sees it, `files` the folders,
`records` the ledger and its tables, `upkeep` what a person starts or sets up, `reporting` what people are told,
`demo` a night with drawn photos. Imports between them point one way (`[tool.importlinter]` in pyproject.toml).
This package talks to the model server over HTTP only and imports no machine learning.
"""

import telemetry  # noqa: F401 - before anything that would send some
