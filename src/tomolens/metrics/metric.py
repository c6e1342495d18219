"""What a metric of a study is: what it needs, what it puts out, and how it is measured.

To add one, write a `Metric` in a module of its own and put it in `METRICS`; the contract test then covers it, and its
numbers appear in tables, ranks, page and LaTeX as it declares them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..declarations import Declaration
from ..imputers.fills import Fill
from .evaluand import Evaluand, MapKey, MetricSettings

Reading = tuple[MapKey, str, float | NDArray[np.float64]]
"""Of which map, the name of the output, and its number or curve."""
Need = Literal[
    "mask",
    "evidence",
    "twin",
    "marker",
    "completeness",
    "other",
    "another_class",
    "rivals",
    "anatomy",
    "tissue",
    "refined",
    "scores",
    "probabilities",
    "explanations",
]
"""What of an `Evaluand` a metric reads beside the maps. Of a case without mask, evidence, twin, marker, other image,
another class, rivals, refined network, anatomy, tissue or completeness it is not measured; scores, probabilities and
explanations cost passes of the network."""


def _none(settings: MetricSettings) -> int:
    return 0


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        declaration: its name and what it puts out.
        measure: reads one case and yields the numbers and curves of its maps.
        needs: what it reads beside the maps.
        depends_on: the settings, by name, that change its numbers and that a study may vary: ``fill``, ``regions``.
        images: how many images it shows the network for each map, at most.
        images_a_case: likewise, for all maps of a case together.
        fill: what it masks with, where that is not the study's own fill.
        explanations: how often it has every map of a case made again.
    """

    declaration: Declaration
    measure: Callable[[Evaluand], Iterator[Reading]]
    needs: frozenset[Need] = frozenset()
    depends_on: frozenset[str] = frozenset()
    images: Callable[[MetricSettings], int] = _none
    images_a_case: Callable[[MetricSettings], int] = _none
    fill: Fill | None = None
    explanations: int = 0

    @property
    def exact(self) -> bool:
        """Whether it reads the scores of altered images, which only the network itself gives, and not decisions."""
        return bool(self.needs & {"scores", "probabilities"})

    @property
    def name(self) -> str:
        """In the study file."""
        return self.declaration.name

    def declared(self, structures: Sequence[str]) -> Declaration:
        """Its declaration in a study whose cases have these structures."""
        told = self.declaration.breakdown
        if told is None or not told.of_structures:
            return self.declaration
        return replace(self.declaration, breakdown=replace(told, parts=(*structures, *told.parts)))

    def applies(self, evaluand: Evaluand) -> bool:
        """Whether a case has what the metric needs."""
        return all(getattr(evaluand, need) is not None for need in self.needs)
