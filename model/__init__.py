"""Everything that learns or predicts.

`serving` answers photos and needs NumPy, Pillow and ONNX Runtime alone; `training` makes a run of photos, with PyTorch;
`releasing` makes a release of a run and puts it to use; `lab` looks into backgrounds and colours. The way in is
`python -m model --help`.
"""

import telemetry  # noqa: F401 - before anything that would send some
