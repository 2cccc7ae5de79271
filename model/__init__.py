"""Everything that learns or predicts.

`serving` answers photos and needs NumPy, Pillow and ONNX Runtime; `training` makes a run of photos and needs PyTorch as well;
`releasing` makes a release of a run and puts it to use; `lab` looks into backgrounds and colours. `python -m model --help` is
the way in.
"""

import telemetry  # noqa: F401 - before anything that would send some
