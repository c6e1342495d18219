"""The anatomy of a case: which named structure each pixel is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A label map.

    Attributes:
        labels: int64 ``(*spatial)``; 0 is no structure, and so is a label without a name.
        names: label of each name, from 1 on.

    Example:
        >>> anatomy = Anatomy(np.array([[0, 7], [2, 2]]), {"lung": 2, "heart": 7, "liver": 9})
        >>> anatomy.present
        ('lung', 'heart')
        >>> anatomy.numbered(["heart", "lung"]).tolist()
        [[0, 1], [2, 2]]
    """

    labels: NDArray[np.int64]
    names: Mapping[str, int]

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the structures that the case has, in the order of the names."""
        there = set(np.unique(self.labels).tolist())
        return tuple(name for name, label in self.names.items() if label in there)

    def numbered(self, structures: Sequence[str]) -> NDArray[np.int64]:
        """The same pixels as numbers of some structures: 1 is the first one, 0 none of them."""
        numbers = np.zeros(self.labels.shape, dtype=np.int64)
        for place, name in enumerate(structures, start=1):
            if name in self.names:
                numbers[self.labels == self.names[name]] = place
        return numbers


def unnamed(label: int) -> str:
    """What a structure is called whose label has no name.

    Example:
        >>> unnamed(3)
        'label 3'
    """
    return f"label {label}"
