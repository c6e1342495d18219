"""The views: who judges a map, by which number, and how that number is printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class View:
    """One way to judge a map by one number a case.

    Attributes:
        name: in tables.
        metric: the measurement that it rests on.
        title: how its number is called.
        judge: whose view it is.
        label: of a column or axis with its number.
        form: of its number in a sentence.
        factor: by which it is multiplied for printing.
        digits: after the point, in tables.
        balanced: whether its mean is taken over the classes' means.
    """

    name: str
    metric: str
    title: str
    judge: str
    label: str
    form: str
    factor: float = 1.0
    digits: int = 3
    balanced: bool = False


VIEWS: Mapping[str, View] = MappingProxyType(
    {
        view.name: view
        for view in (
            View(
                "fidelity", "fidelity", "fidelity", "the model's view", "Fidelity F × 10", "F × 10 = {}", 10.0, 2, True
            ),
            View("auc", "auc", "AUC", "the expert's view, by pixel", "AUC", "{}"),
            View("dice", "dice_own_share", "Dice", "the expert's view, by region", "Dice at the mask's share", "{}"),
            View("evidence", "evidence", "evidence AUC", "the truth of simulated CT", "Evidence AUC", "{}"),
        )
    }
)
TWO_VIEWS = ("fidelity", "auc", "dice")
"""The model's view and the expert's, which are compared; the truth settles who is right."""
