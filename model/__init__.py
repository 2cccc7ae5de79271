"""Everything that learns or predicts.

The serving half (`classes`, `preprocess`, `answers`, `releases`, `predictor`) needs NumPy, Pillow and ONNX
Runtime; the training half (`data`, `network`, `teacher`, `train`, `evaluate`, `export`) needs torch as
well and is never imported by the serving half. `python -m model --help` is the way in.
"""

import telemetry  # noqa: F401 - before anything that would send some
