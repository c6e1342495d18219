"""Studies: the study file, `evaluate` for one case, the store of measurements, and the runner over all cases."""
