"""The estimators of a study file."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from ..estimators.baselines import BASELINES, TRUTH
from ..estimators.estimator import Estimator
from ..estimators.given import Direction
from ..estimators.registry import PROTOCOL, SETS
from .ranges import check_made, check_names, estimator_of
from .section import Count, Section


class EstimatorSettings(Section):
    """Which estimators, with which parameters, of which score, and the blind baselines that they must beat.

    By default those of the protocol; ``set`` takes the ``paper``'s, the ``common`` ones or ``all`` in place of names.
    Of those that are not named, a study leaves out those that it cannot make: that draw training images where no case
    may be trained on, look at a twin where there is none, or ask a network for what it does not give. ``explained`` is
    the class whose maps are made: ``predicted``, ``true``, or the name of one; ``each`` makes those of every class
    beside the predicted one's, as a choice. ``blur`` is the standard deviation, as a share of the longest side, by
    which each estimator's absolute map is blurred to be measured as a control: masking favours smooth maps. 0 measures
    none.
    """

    names: tuple[str, ...] = PROTOCOL
    set: Literal["paper", "common", "all"] | None = None
    baselines: tuple[str, ...] = tuple(BASELINES)
    explained: Annotated[str, Field(min_length=1)] = "predicted"
    direction: Direction = "class"
    references: Count = 256
    blur: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    parameters: dict[str, dict[str, Any]] = Field(default={})

    @model_validator(mode="before")
    @classmethod
    def _of_a_set(cls, given: Any) -> Any:
        """Names of the set that is asked for; a stored study has both, and no other names."""
        wanted = given.get("set") if isinstance(given, dict) else None
        if not isinstance(wanted, str) or wanted not in SETS:
            return given
        names = given.get("names", SETS[wanted])
        if not isinstance(names, list | tuple) or not {*map(str, names)} <= {*SETS[wanted]}:
            raise ValueError(f"set = '{wanted}' and names of others: give one of them")
        return {**given, "names": names}

    @property
    def named(self) -> bool:
        """Whether estimators are named one by one, and so are meant."""
        return "names" in self.model_fields_set and self.set is None

    @model_validator(mode="after")
    def _known(self) -> Self:
        check_names("baseline", self.baselines, BASELINES, least=0)
        check_made([*self.make(), *(BASELINES[name] for name in self.baselines), TRUTH])
        return self

    def make(self) -> tuple[Estimator, ...]:
        """The estimators; raises ValueError for a name or parameter that does not exist, or a value that cannot be."""
        unused = set(self.parameters) - set(self.names)
        if unused:
            raise ValueError(f"parameters for estimators that are not in names: {', '.join(sorted(unused))}")
        check_names("estimator", self.names, None)
        return tuple(estimator_of(name, self.parameters.get(name, {})) for name in self.names)
