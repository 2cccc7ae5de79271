"""From a run to a release in use: calibrated, measured, exported, described, promoted."""
