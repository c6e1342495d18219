"""What a study file varies: other options for the choices that the literature leaves open."""

from dataclasses import replace
from typing import Annotated, Any, cast

from pydantic import Field, field_validator

from ..estimators.estimator import Estimator, is_blind
from ..imputers.fills import Fill, require_fill
from ..regions import RegionSettings
from .plan import Variations
from .ranges import check_names, check_regions
from .section import Section


class VarySettings(Section):
    """Other options for the choices that the literature leaves open, tried one at a time beside the study's own.

    ``score`` tries maps of the probability (or the logit), ``direction`` the other direction; ``noise`` are sigmas
    of SmoothGrad and its square; ``steps`` the numbers of points of every estimator that takes several; ``fills`` what
    masked pixels become, as for ``metrics.fill`` or in Hounsfield units (``"40 HU"``); ``regions`` constants of XRAI,
    by a name of one's own.
    """

    score: bool = True
    direction: bool = True
    noise: tuple[Annotated[float, Field(ge=1e-6, le=10.0)], ...] = (0.05, 0.3)
    steps: tuple[Annotated[int, Field(ge=1, le=100_000)], ...] = (10, 50)
    fills: tuple[Fill, ...] = ("mean", "blur", "road", "-1000 HU", "40 HU")
    regions: dict[str, RegionSettings] = Field(
        default={"coarse": RegionSettings(scales=(250, 500, 1200)), "not dilated": RegionSettings(dilation=0)}
    )

    @field_validator("noise", "steps")
    @classmethod
    def _different(cls, options: tuple[float, ...]) -> tuple[float, ...]:
        check_names("option", tuple(f"{option:g}" for option in options), None, least=0)
        return options

    @field_validator("regions")
    @classmethod
    def _usable(cls, regions: dict[str, RegionSettings]) -> dict[str, RegionSettings]:
        for settings in regions.values():
            check_regions(settings)
        return regions

    @field_validator("fills")
    @classmethod
    def _known_fills(cls, fills: tuple[Fill, ...]) -> tuple[Fill, ...]:
        for position, fill in enumerate(fills):
            require_fill(fill)
            if fill in fills[:position]:
                raise ValueError(f"fill {fill!r} is named twice")
        return fills

    def variations(self, estimators: tuple[Estimator, ...]) -> Variations:
        """The options for a study's estimators."""
        changed: dict[tuple[str, str], tuple[Estimator, ...]] = {}
        asking = [one for one in estimators if not is_blind(one)]
        for sigma in self.noise:
            noisy = [_changed(one, "sigma", sigma) for one in asking if hasattr(one, "sigma")]
            changed["noise", f"sigma {sigma:g}"] = tuple(noisy)
        for count in self.steps:
            several = [
                _changed(one, name, count) for one in asking for name in ("steps", "samples") if hasattr(one, name)
            ]
            changed["steps", f"{count}"] = tuple(several)
        options = {option: some for option, some in changed.items() if some}
        return Variations(
            self.score, self.direction, options, {str(fill): fill for fill in self.fills}, dict(self.regions)
        )


def _changed(estimator: Estimator, name: str, value: float) -> Estimator:
    return cast("Estimator", replace(cast("Any", estimator), **{name: value}))
