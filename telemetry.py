"""Nothing is sent home: importing this module tells the libraries that would otherwise do so.

Every package of ours imports it before anything else. The variables have to be set before the library is loaded, and
whatever we start inherits them. Standard library only, like `logformat`.
"""

import os

OFF = {
    # sends usage data from Linux, macOS and Windows (onnxruntime/Privacy.md, "Disabling Telemetry")
    "ORT_DISABLE_TELEMETRY": "1",
    # https://docs.bentoml.com, "Usage tracking"; only benchmarks.peers starts it
    "BENTOML_DO_NOT_TRACK": "True",
}
"""Variable of the environment → the value that turns it off."""

os.environ.update(OFF)
