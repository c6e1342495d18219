"""Region maps of a case: one segmentation for all its maps."""

import numpy as np
from numpy.typing import NDArray

from ..cases import Case
from ..metrics.metric import MapKey, MetricSettings
from ..metrics.ranked import RankedMap
from ..metrics.roc import is_usable
from ..regions import segment, xrai


def regions_of(
    case: Case, rankings: dict[MapKey, RankedMap], settings: MetricSettings
) -> dict[MapKey, NDArray[np.float64]]:
    """Region maps of all maps; none where there is no usable mask to compare with."""
    if "overlap" not in settings.names or case.mask is None or not is_usable(case.mask):
        return {}
    segments = segment(case.image, settings.regions)
    grown = {
        ranked: xrai(case.image, ranked.scores.reshape(ranked.shape), segments=segments, settings=settings.regions)
        for ranked in dict.fromkeys(rankings.values())
    }
    return {key: grown[ranked] for key, ranked in rankings.items()}
