"""One metric of one case, as measurements: a metric that fails costs its own rows, and a row says why."""

from collections.abc import Iterator

import numpy as np

from ..declarations import audited_as
from ..errors import MapError, is_out_of_memory, reason_of
from ..metrics.evaluand import OF_CASE, Evaluand, MapKey
from ..metrics.metric import Metric
from ..metrics.registry import METRICS
from ..results.rows import NOT_ASSESSED, Measurement


def measured(name: str, evaluand: Evaluand) -> list[Measurement]:
    """What a metric measures; nothing of a case without what it needs; a metric that fails costs its own rows."""
    metric = METRICS[name]
    if not metric.applies(evaluand):
        return []
    try:
        return [Measurement(*key, output, *result) for key, output, result in _declared(metric, evaluand)]
    except Exception as error:  # a metric, or the network that it asks, may raise anything
        if is_out_of_memory(error):
            raise
        return [Measurement("", "", NOT_ASSESSED, note=f"{name}: {reason_of(error)}")]


def _declared(
    metric: Metric, evaluand: Evaluand
) -> Iterator[tuple[MapKey, str, tuple[float | None, tuple[float, ...] | None]]]:
    """What a metric yields, as far as it has declared it: of the case's maps, and every curve of one length."""
    outputs = {output.name: output for output in metric.declaration.outputs}
    lengths: dict[str, int] = {}
    for key, name, result in metric.measure(evaluand):
        of_case = key == OF_CASE and bool(audited_as(name))
        if not of_case and (name not in outputs or key not in evaluand.rankings):
            raise MapError(f"'{name}' of {'/'.join(key)} is no declared output of a map of the case")
        values = np.asarray(result, dtype=np.float64)
        if np.isinf(values).any() or values.ndim != int(not of_case and outputs[name].curve):
            raise MapError(
                f"'{name}' of {'/'.join(key)} has shape {values.shape} or is infinite, against its declaration"
            )
        if values.ndim == 0:
            yield key, name, (float(values), None)
            continue
        if lengths.setdefault(name, len(values)) != len(values):
            raise MapError(f"'{name}' has {len(values)} points of {'/'.join(key)}, and {lengths[name]} of another map")
        yield key, name, (None, tuple(values.tolist()))
