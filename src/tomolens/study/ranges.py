"""The range of every number that a study file gives to a dataclass of another layer, checked when the file is read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from ..cases.preprocessing import COARSEST, FINEST
from ..cases.windows import Windows, check_windows
from ..declarations import require_distinct, require_plain
from ..errors import SettingsError
from ..estimators.baselines import BASELINES, TRUTH
from ..estimators.captum_adapter import Captum
from ..estimators.estimator import Estimator, parameters_of
from ..estimators.points import Quadrature
from ..estimators.registry import make_estimator
from ..estimators.smoothed import PREFIX as SMOOTH
from ..estimators.smoothed import Smoothed
from ..lengths import Length
from ..metrics.evaluand import MetricSettings
from ..metrics.planes import CHANNEL_RULES
from ..metrics.registry import METRICS
from ..regions import RegionSettings


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both allowed."""

    low: float
    high: float

    def check(self, name: str, value: float) -> None:
        """Raise ValueError for what is outside; NaN is."""
        if not self.low <= value <= self.high:
            raise ValueError(f"{name} {value:g}, expected {self.low:g} to {self.high:g}")


REGIONS = {
    "scales": Range(1e-3, 1e6),
    "sigma": Range(0.0, 50.0),
    "min_size": Range(1, 1_000_000),
    "segmenting_size": Range(8, 1024),
    "value_range": Range(-1e6, 1e6),
    "dilation": Range(0, 256),
    "min_new_pixels": Range(1, 1_000_000),
}
LENGTHS = ("min_size", "dilation", "min_new_pixels")
"""Of regions: whole pixels, or millimetres."""
MILLIMETRES = {"dilation": Range(0.0, 1000.0)}
"""Of lengths of regions; of those that are not here `SOME_MILLIMETRES`."""
SOME_MILLIMETRES = Range(1e-3, 1000.0)
PARAMETERS: Mapping[str, Range | tuple[str, ...]] = {
    "steps": Range(1, 100_000),
    "samples": Range(1, 100_000),
    "sigma": Range(1e-6, 10.0),
    "window": Range(1, 100_000),
    "stride": Range(1, 100_000),
    "quadrature": get_args(Quadrature),
}
"""Of estimators, by name; one that is not here must be finite and of a type of its default."""


def _number(name: str, told: float | str) -> float:
    """A setting of regions, which of a length is told in whole pixels or millimetres."""
    try:
        return Length.of(told).value if isinstance(told, str) or name in LENGTHS else told
    except SettingsError as error:
        raise ValueError(f"{name}: {error}") from error


def check_regions(settings: RegionSettings) -> RegionSettings:
    """The same settings; ValueError where XRAI could not use them."""
    for name, allowed in REGIONS.items():
        value = getattr(settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            millimetres = MILLIMETRES.get(name, SOME_MILLIMETRES)
            (millimetres if isinstance(one, str) else allowed).check(name, _number(name, one))
    if not settings.scales:
        raise ValueError("scales is empty, expected at least one")
    low, high = settings.value_range
    if low >= high:
        raise ValueError(f"value_range {[low, high]} is empty: the lower limit comes first")
    return settings


def check_metrics(settings: MetricSettings) -> MetricSettings:
    """The same settings; ValueError for metrics that are not known and numbers that they cannot use."""
    check_names("metric", settings.names, METRICS)
    require_distinct([METRICS[name].declaration for name in settings.names])
    Range(1, 10_000).check("steps", settings.steps)
    Range(2, 10_000).check("roc_points", settings.roc_points)
    if Length.of(settings.tolerance).value < 0:
        raise ValueError(f"tolerance {settings.tolerance}, expected 0 or more")
    if settings.channels not in CHANNEL_RULES:
        raise ValueError(f"channels '{settings.channels}', expected one of {', '.join(CHANNEL_RULES)}")
    try:
        check_regions(settings.regions)
    except ValueError as error:
        raise ValueError(f"regions: {error}") from error
    return settings


def check_names(kind: str, names: tuple[str, ...], known: Mapping[str, object] | None, *, least: int = 1) -> None:
    """ValueError for too few names, one that is there twice, or one that is not known."""
    if len(names) < least:
        raise ValueError(f"no {kind} is named, expected at least {least}")
    for place, name in enumerate(names):
        if known is not None and name not in known:
            raise ValueError(f"unknown {kind} '{name}', known are {', '.join(known)}")
        if name in names[:place]:
            raise ValueError(f"{kind} '{name}' is named twice")


def check_made(made: Sequence[Estimator]) -> None:
    """Refuse estimators and baselines of one name, or with one that is no part of a file's name.

    Raises:
        SettingsError: naming it.
    """
    names = [one.name for one in made]
    for position, name in enumerate(names):
        require_plain("estimator", name)
        if name in names[:position]:
            raise SettingsError(f"two estimators or baselines are called '{name}'")


def estimator_of(name: str, parameters: Mapping[str, Any]) -> Estimator:
    """An estimator whose parameters are of the right type and in their ranges.

    Raises:
        SettingsError: an unknown name or parameter, see `make_estimator`.
        ValueError: a value that cannot be.
    """
    if name in BASELINES:
        raise ValueError(f"'{name}' is a blind baseline: name it in estimators.baselines")
    if name == TRUTH.name:
        raise ValueError(f"'{name}' is no estimator: it is measured wherever it is known")
    named = {"name", "title"} & set(parameters)
    if named:
        raise SettingsError(f"estimator '{name}': {', '.join(sorted(named))} cannot be set in a study file")
    usual = make_estimator(name)
    defaults, hints = parameters_of(usual), get_type_hints(type(usual))
    if isinstance(usual, Captum):
        return make_estimator(name, **parameters)  # which judges its parameters itself
    for parameter, value in parameters.items():
        if isinstance(usual, Smoothed) and parameter == "of" and isinstance(value, Mapping):
            estimator_of(name.removeprefix(SMOOTH), value)
        elif parameter in defaults:
            _check_parameter(
                f"estimator '{name}': {parameter}",
                value,
                [type(defaults[parameter]), *(one for one in get_args(hints[parameter]) if isinstance(one, type))],
                PARAMETERS.get(parameter),
            )
    return make_estimator(name, **parameters)


def _check_parameter(
    what: str, value: Any, kinds: Sequence[type[Any]], allowed: Range | tuple[str, ...] | None
) -> None:
    wanted: tuple[type[Any], ...] = (*kinds, int) if float in kinds else tuple(kinds)
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in kinds):
        named = {int: "a whole number", float: "a number", str: "a word"}
        raise ValueError(
            f"{what} {value!r}, expected {' or '.join(dict.fromkeys(named.get(one, one.__name__) for one in kinds))}"
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{what} {value}, expected a finite number")
    if isinstance(allowed, Range):
        if not isinstance(value, str):  # a word for a number, as "20 mm", is read where it is used
            allowed.check(what, value)
    elif allowed is not None and value not in allowed:
        raise ValueError(f"{what} '{value}', expected one of {', '.join(allowed)}")


def check_window(window: Any) -> Windows:
    """One window, or several that are a channel each, as a study file has them.

    Raises:
        SettingsError: see `check_windows`.
    """
    windows = check_windows(window)
    return windows[0] if len(windows) == 1 else windows


def check_spacing(spacing: Any) -> float | tuple[float, ...] | None:
    """Size of a pixel as a study file has it: None, one number of mm for all axes, or a list with one for each.

    Raises:
        ValueError: no such numbers, or too many.
    """
    if spacing is None:
        return None
    several = isinstance(spacing, list | tuple)
    for mm in spacing if several else [spacing]:
        if isinstance(mm, bool) or not isinstance(mm, int | float) or not FINEST <= mm <= COARSEST:
            raise ValueError(f"pixels of {mm!r} mm, expected a number {FINEST:g} to {COARSEST:g}")
    if several and len(spacing) not in (2, 3):
        raise ValueError(f"{len(spacing)} sizes of a pixel, expected one for all axes or one for each of two or three")
    return tuple(map(float, spacing)) if several else float(spacing)
