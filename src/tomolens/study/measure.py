"""One metric of one case, as measurements: a metric that fails costs its own rows, and a row says why."""

import numpy as np
from numpy.typing import NDArray

from ..errors import TomolensError, is_out_of_memory
from ..metrics.metric import METRICS, Evaluand
from .plan import NOT_ASSESSED, Measurement


def measured(name: str, evaluand: Evaluand) -> list[Measurement]:
    """What a metric measures; a metric that fails costs its own rows."""
    try:
        return [Measurement(*key, metric, *_value_or_curve(result)) for key, metric, result in METRICS[name](evaluand)]
    except Exception as error:  # a metric, or the network that it asks, may raise anything
        if is_out_of_memory(error):
            raise
        reason = str(error) if isinstance(error, TomolensError) else f"{type(error).__name__}: {error}"
        return [Measurement("", "", NOT_ASSESSED, note=f"{name}: {' '.join(reason.split())[:300]}")]


def _value_or_curve(result: float | NDArray[np.float64]) -> tuple[float | None, tuple[float, ...] | None]:
    if isinstance(result, np.ndarray):
        return None, tuple(result.tolist())
    return float(result), None
