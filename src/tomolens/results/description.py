"""What a study is, as ``study.json`` says it: settings, estimators, metrics, versions, hashes, networks."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from ..declarations import (
    Breakdown,
    Chart,
    CurveArea,
    Declaration,
    Output,
    Side,
    View,
    require_distinct,
    views_of,
)
from ..errors import SettingsError

FORMAT = 2
"""Of a study's folder. Raised by one whenever what is written can no longer be read as before."""


@dataclass(frozen=True)
class Described:
    """An estimator or blind baseline of a study.

    Attributes:
        name: in rows.
        title: as it is printed.
        source: the paper that it is from.
        parameters: as they are written in Python.
        blind: whether it never looks at the network.
        baseline: whether it is measured only for estimators to beat: once, as it is.
        of_masks: whether it looks at the experts' masks of other cases.
        truth: whether it is the positive control, which is measured beside the estimators.
        of_twin: whether it has seen the image's twin, and with it where the truth is.
        group: of estimators like it, by what they look at; empty in older studies.
    """

    name: str
    title: str
    source: str
    parameters: str
    blind: bool
    baseline: bool
    of_masks: bool
    truth: bool = False
    of_twin: bool = False
    group: str = ""


@dataclass(frozen=True)
class Description:
    """The content of ``study.json``.

    Attributes:
        raw: as it is written.
    """

    raw: Mapping[str, Any]

    @classmethod
    def read(cls, raw: object, where: str) -> "Description":
        """A description that was read from ``where``.

        Raises:
            SettingsError: not a study's, or one of another format.
        """
        if not isinstance(raw, dict) or "identity" not in raw:
            raise SettingsError(f"{where}: not a study's description")
        found = raw.get("format", 1)
        if found != FORMAT:
            raise SettingsError(
                f"{where}: results of format {found!r}, this version of TomoLens reads format {FORMAT}: read them with "
                "the version that wrote them (it stands in the file under versions), or run the study into another "
                "folder"
            )
        read = cls(raw)
        try:
            _ = read.name, read.seed, read.classes, read.count, read.titles, read.outputs
            require_distinct(read.metrics)
            statistics, networks = read.settings["statistics"], read.get("networks", [])
            _ = statistics["resamples"], statistics["confidence"], [one["fold"] for one in networks]
        except (KeyError, TypeError, ValueError, SettingsError) as error:
            raise SettingsError(f"{where}: damaged ({type(error).__name__}: {error})") from error
        return read

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every choice of the study, as in its file."""
        chosen: Mapping[str, Any] = self.raw["content"]["settings"]
        return chosen

    @property
    def name(self) -> str:
        """Of the study."""
        return str(self.settings["name"])

    @property
    def seed(self) -> int:
        """Of all random draws."""
        return int(self.settings["seed"])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by label."""
        return tuple(self.raw["content"]["task"])

    @property
    def count(self) -> int:
        """Cases of the study that could be read."""
        return int(self.raw["content"]["cases"]["count"])

    @cached_property
    def estimators(self) -> tuple[Described, ...]:
        """The estimators, then the blind baselines, in the order of the study."""
        return tuple(Described(**one) for one in self.raw["estimators"])

    @cached_property
    def baselines(self) -> frozenset[str]:
        """Names of what is measured only for estimators to beat."""
        return frozenset(one.name for one in self.estimators if one.baseline)

    @cached_property
    def blind(self) -> frozenset[str]:
        """Names of what never looks at the network, estimators among it."""
        return frozenset(one.name for one in self.estimators if one.blind)

    @cached_property
    def of_masks(self) -> frozenset[str]:
        """Names of what looks at the experts' masks of other cases."""
        return frozenset(one.name for one in self.estimators if one.of_masks)

    @cached_property
    def truth(self) -> str:
        """Name of the positive control; empty where results have none."""
        return next((one.name for one in self.estimators if one.truth), "")

    @cached_property
    def of_twin(self) -> frozenset[str]:
        """Names of the estimators that have seen the image's twin."""
        return frozenset(one.name for one in self.estimators if one.of_twin and not one.truth)

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """How each estimator and baseline is printed."""
        return {one.name: one.title for one in self.estimators}

    @cached_property
    def metrics(self) -> tuple[Declaration, ...]:
        """What the metrics of the study put out."""
        return tuple(map(_declaration, self.raw["metrics"]))

    @property
    def views(self) -> tuple[Output, ...]:
        """The outputs that judge maps."""
        return views_of(self.metrics)

    @property
    def outputs(self) -> Mapping[str, Output]:
        """Every output by its name."""
        return {output.name: output for one in self.metrics for output in one.outputs}

    def get(self, key: str, missing: Any = None) -> Any:
        """A part of the description, or ``missing`` where the study is not so far yet."""
        return self.raw.get(key, missing)


def as_json(declaration: Declaration) -> dict[str, Any]:
    """A metric's declaration as ``study.json`` holds it."""
    return asdict(declaration)


def _declaration(raw: Mapping[str, Any]) -> Declaration:
    outputs = tuple(
        Output(**{**one, "view": None if one["view"] is None else View(**one["view"])}) for one in raw["outputs"]
    )
    areas = tuple(CurveArea(**one) for one in raw["areas"])
    charts = tuple(map(_chart, raw["charts"]))
    return Declaration(raw["name"], outputs, charts, areas, _breakdown(raw.get("breakdown")))


def _breakdown(raw: Mapping[str, Any] | None) -> Breakdown | None:
    """None also of older studies, whose declarations have none."""
    if raw is None:
        return None
    return Breakdown(**{**raw, "parts": tuple(raw["parts"]), "sides": tuple(Side(**one) for one in raw["sides"])})


def _chart(raw: Mapping[str, Any]) -> Chart:
    chosen: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return Chart(**chosen)
