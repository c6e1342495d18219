"""Layer-wise relevance propagation."""

from dataclasses import dataclass, field
from typing import ClassVar, get_args

from ..errors import SettingsError
from .estimator import Cost, mean_over
from .points import AtInput
from .questions import Asking
from .relevance import Shared, SharedRelevance
from .subject import Need, Subject


@dataclass(frozen=True)
class Lrp:
    """The logit, shared out layer by layer down to the pixels, to which it adds up but for what biases keep.

    Of a probability it is the logits times the probability's derivative by them that is shared out.

    The composite that is usual for convolutional networks, "epsilon plus flat" (as in Kohlbrenner et al. 2020,
    arXiv 1910.09840), unless told.

    Attributes:
        rule: of convolutions, ``epsilon``, ``gamma`` or ``alpha-beta``; see `SharedRelevance`. Dense layers have
            epsilon.
        epsilon: of the epsilon rule, in units of the root mean square of a layer's output.
        gamma: of the gamma rule.
        alpha: of the alpha-beta rule, 1 or more; beta is alpha - 1.
        flat: whether the first layer shares out evenly among all pixels that it sees.
        partial: whether operations that no rule is known for pass the plain gradient; otherwise a network that has any
            is refused.
    """

    rule: Shared = "alpha-beta"
    epsilon: float = 1e-6
    gamma: float = 0.25
    alpha: float = 1.0
    flat: bool = True
    partial: bool = False
    name: str = field(default="lrp", repr=False)
    title: str = field(default="LRP", repr=False)
    source: ClassVar[str] = "Bach et al. 2015, doi 10.1371/journal.pone.0130140"
    needs: ClassVar[frozenset[Need]] = frozenset()
    of_prediction: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.rule not in get_args(Shared):
            raise SettingsError(f"rule '{self.rule}', expected one of {', '.join(get_args(Shared))}")
        if not (0 <= self.epsilon < float("inf") and 0 <= self.gamma < float("inf") and 1 <= self.alpha < float("inf")):
            raise SettingsError(
                f"epsilon {self.epsilon:g}, gamma {self.gamma:g}, alpha {self.alpha:g}: expected epsilon and gamma of "
                "0 or more, and alpha of 1 or more"
            )

    def cost(self, shape: tuple[int, ...]) -> Cost:
        """One backward pass."""
        return Cost(gradients=1)

    def explain(self, subject: Subject) -> Asking:
        """The relevance at the image."""
        rule = SharedRelevance(self.rule, self.epsilon, self.gamma, self.alpha, self.flat, self.partial)
        return (yield from mean_over(subject, [AtInput()], rule=rule))
