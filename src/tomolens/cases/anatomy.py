"""The anatomy of a case: which named structure each pixel is of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..declarations import RESERVED
from ..errors import CaseError

_UNNAMED = "label "
_NUMBER = int | float | np.integer | np.floating


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


def labels_of_names(names: Any, where: str) -> dict[str, int]:
    """The label of each name as a user gives them, checked.

    Raises:
        CaseError: no mapping, what is no name or no label, or two names of one label; it begins with ``where``.

    Example:
        >>> labels_of_names({"lung": 1.0, "heart": 7}, "anatomy_names")
        {'lung': 1, 'heart': 7}
    """
    if not isinstance(names, Mapping):
        raise CaseError(f"{where}: {type(names).__name__}, expected a mapping from each name to its label")
    called: dict[int, str] = {}
    for name, label in names.items():
        if isinstance(label, bool | np.bool_) or not isinstance(label, _NUMBER) or label < 1 or label % 1 != 0:
            raise CaseError(f"{where}: {name} = {label!r}, expected a whole number from 1 on")
        require_structure(name, int(label), where)
        if int(label) in called:
            raise CaseError(f"{where}: '{called[int(label)]}' and '{name}' are both label {label}, expected one name")
        called[int(label)] = name
    return {name: label for label, name in called.items()}


def require_structure(name: Any, label: int | None, where: str) -> None:
    """Refuse what cannot be a structure's name.

    Args:
        name: of the structure.
        label: that it has, or None where it has none.
        where: how the message begins.

    Raises:
        CaseError: no printable text, a name of a part that is no structure, or what another label is called that has
            no name.
    """
    of = "" if label is None else f" of label {label}"
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise CaseError(f"{where}: name {str(name)[:40]!r}{of}, expected printable text")
    if name.strip().casefold() in RESERVED:
        raise CaseError(f"{where}: name '{name}'{of} is that of a part which is no structure, expected another one")
    number = name.removeprefix(_UNNAMED)
    if label is not None and number != name and number.isdecimal() and int(number) != label:
        raise CaseError(f"{where}: label {label} cannot be called '{name}', as another label is without a name")


def unnamed(label: int) -> str:
    """What a structure is called whose label has no name.

    Example:
        >>> unnamed(3)
        'label 3'
    """
    return f"{_UNNAMED}{label}"
