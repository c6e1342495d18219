"""The study file: every choice of a study, checked, with the protocol's defaults. It names no place on a machine."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
    with_config,
)

from ..cases.implants import Implant
from ..cases.phantom.findings import classes_of
from ..classifier.architectures import require_known
from ..errors import SettingsError
from ..estimators.baselines import BASELINES, TRUTH
from ..imputers.fills import require_fill
from ..metrics.evaluand import MetricSettings
from ..metrics.registry import SETS as METRIC_SETS
from ..metrics.reproducibility import REPRODUCIBILITY
from ..regions import RegionSettings
from ..results.store import Store
from .case_settings import CaseSettings
from .classifier_settings import ClassifierSettings
from .estimator_settings import EstimatorSettings
from .plan import Plan, Variations
from .ranges import check_metrics, check_names
from .section import Count, Section
from .vary_settings import VarySettings

for _plain in (RegionSettings, MetricSettings):
    with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(
        _plain
    )  # an unknown key in a study file is a mistake, not a comment


class StatisticsSettings(Section):
    """Confidence intervals: bootstrap over patients."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    confidence: Annotated[float, Field(gt=0.5, le=0.999)] = 0.95


class VerdictSettings(Section):
    """When a map is to be believed, see docs/verdict.md.

    ``confidence`` is that of all its tests together: maps that know nothing are believed in no more studies than the
    rest. ``least_turned`` is the share of the twins about which the network must decide otherwise for their truth to
    be its reason.
    """

    confidence: Annotated[float, Field(gt=0.5, le=0.999)] = 0.95
    least_turned: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class RepeatSettings(Section):
    """Other trainings of the network of each fold: are maps the same, and how much do the numbers change?

    ``networks`` are trained in all, which differ in their seeds, and one more of each of ``architectures``.
    """

    networks: Annotated[int, Field(ge=1, le=100)] = 3
    architectures: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _repeats(self) -> Self:
        check_names("architecture", self.architectures, None, least=0)
        for name in self.architectures:
            require_known(name)
        if self.networks == 1 and not self.architectures:
            raise ValueError("networks = 1 and no architectures: nothing is repeated")
        return self

    @property
    def rivals(self) -> int:
        """Networks to be trained beside the study's own, for each fold."""
        return self.networks - 1 + len(self.architectures)


class ResourceSettings(Section):
    """What one worker needs: on a cluster processor cores, and GPUs where networks run on one (may be a fraction).

    ``checkpoint`` takes less memory for gradients and more time, to the same bits, see `Classifier.with_checkpoints`;
    without it that is tried where one image does not fit in memory.
    """

    cpus: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    gpus: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    checkpoint: bool = False


NOT_IN_THE_NUMBERS = {"resources", "keep_maps"}
"""Settings that another run of the same study may change."""
VOLUMES_AT_A_TIME = 4
"""Of volumes that the network sees, where nothing else is said."""


class StudySettings(Section):
    """A whole study file.

    ``batch_size`` (4 of volumes) bounds the memory of every stage and does not show in the numbers. ``precision =
    "auto"`` asks for decisions only where they turn, of the quickest backend that the machine has, checked and audited,
    and for gradients of the network with its batch norms folded; ``fp32`` takes the network as it is, for everything.
    ``examples`` cases are kept whole for the figures, and ``gallery`` small for the page, one of each class in turn.
    ``vary`` tries other options for the choices that the literature leaves open.
    ``calibrate`` measures each case once more with an implant, to see which views can judge maps of this network.
    ``keep_maps`` keeps every importance map in ``maps.zarr``; ``resources`` is what a cluster gives each worker.
    """

    name: Annotated[str, Field(min_length=1)]
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] = 0
    batch_size: Count = 32
    precision: Literal["auto", "fp32"] = "auto"
    examples: Annotated[int, Field(ge=0, le=1_000_000)] = 4
    gallery: Annotated[int, Field(ge=0, le=1_000_000)] = 300
    keep_maps: bool = False
    resources: ResourceSettings = ResourceSettings()
    cases: CaseSettings = CaseSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    estimators: EstimatorSettings = EstimatorSettings()
    metrics: MetricSettings = MetricSettings()
    statistics: StatisticsSettings = StatisticsSettings()
    verdict: VerdictSettings = VerdictSettings()
    calibrate: Implant | None = None
    repeat: RepeatSettings | None = None
    vary: VarySettings | None = None

    @model_validator(mode="before")
    @classmethod
    def _fewer_volumes_at_a_time(cls, content: Any) -> Any:
        """A batch of volumes has as many voxels as one of slices, or more."""
        cases = content.get("cases") if isinstance(content, Mapping) else None
        if isinstance(cases, Mapping) and cases.get("dimensions") == 3:
            return {"batch_size": VOLUMES_AT_A_TIME, **content}
        return content

    @property
    def plan(self) -> Plan:
        """What is done to every case."""
        chosen, estimators = self.estimators, self.estimators.make()
        variations = None if self.vary is None else self.vary.variations(estimators)
        if chosen.explained == "each":
            every = {name: index for index, name in enumerate(self.cases.classes)}
            variations = replace(variations or Variations(), classes=every)
        return Plan(
            seed=self.seed,
            estimators=estimators,
            direction=chosen.direction,
            metrics=self._metrics(),
            batch_size=self.batch_size,
            baselines=(*(BASELINES[name] for name in chosen.baselines), TRUTH),
            blur=chosen.blur,
            calibration=self.calibrate or "",
            variations=variations,
            explained=self._explained(),
        )

    def _metrics(self) -> MetricSettings:
        """What is measured: with networks of other trainings, what they are trained for too."""
        names = self.metrics.names
        if self.repeat is None or REPRODUCIBILITY.name in names:
            return self.metrics
        return replace(self.metrics, names=(*names, REPRODUCIBILITY.name))

    def _explained(self) -> Literal["predicted", "true"] | int:
        chosen, classes = self.estimators.explained, self.cases.classes
        if chosen in classes:
            return classes.index(chosen)
        return "true" if chosen == "true" else "predicted"

    def varied(self) -> "StudySettings":
        """The same study with the options of its ``[vary]`` section, or the usual ones."""
        return self.model_copy(update={"vary": self.vary or VarySettings()})

    def calibrated(self) -> "StudySettings":
        """The same study, calibrated with the implant that it names, or with the one that its classes are of.

        Raises:
            SettingsError: classes of no implant, or cases that have twins already.
        """
        fitting = next((name for name in get_args(Implant) if classes_of(name) == self.cases.classes), None)
        chosen = self.calibrate or fitting
        if chosen is None:
            raise SettingsError(
                f"--calibrate: which implant is the finding of the classes {', '.join(self.cases.classes)}? Give the "
                f"study calibrate = one of {', '.join(map(repr, get_args(Implant)))}"
            )
        given = self.model_dump(mode="json", exclude_unset=True)  # what is default stays so
        return settings_from({**given, "calibrate": chosen}, f"study '{self.name}'")

    @model_validator(mode="after")
    def _calibrates_what_has_no_twins(self) -> Self:
        if self.calibrate is None:
            return self
        if self.cases.source == "phantom" or self.cases.implant is not None:
            raise ValueError("calibrate: these cases have twins, by which their views are controlled already")
        if len(self.cases.classes) != 2:
            raise ValueError(f"calibrate: an implant is there or not, and {len(self.cases.classes)} classes are named")
        return self

    @model_validator(mode="after")
    def _pretrains_what_it_trains(self) -> Self:
        if self.classifier.pretraining is not None and len(self.cases.classes) != 2:
            count = len(self.cases.classes)
            raise ValueError(f"classifier.pretraining: simulated cases have two classes, cases.classes names {count}")
        before = None if self.classifier.pretraining is None else self.classifier.pretraining.recipe
        if before is not None and not before.makes_as(self.classifier.recipe):
            after = self.classifier.recipe
            raise ValueError(
                f"classifier.pretraining.recipe: architecture '{before.architecture}' {dict(before.arguments)}, and "
                f"the network that goes on from there is '{after.architecture}' {dict(after.arguments)}"
            )
        return self

    @model_validator(mode="after")
    def _repeats_another_architecture(self) -> Self:
        own = self.classifier.recipe.architecture
        if self.repeat is not None and own in self.repeat.architectures:
            raise ValueError(f"repeat.architectures: '{own}' is the study's own; networks says how often it is trained")
        return self

    @model_validator(mode="after")
    def _explains_what_there_is(self) -> Self:
        chosen, known = self.estimators.explained, ("predicted", "true", "each", *self.cases.classes)
        if chosen not in known:
            raise ValueError(f"estimators.explained '{chosen}', expected one of {', '.join(known)}")
        return self

    @field_validator("metrics", mode="before")
    @classmethod
    def _metrics_of_a_set(cls, given: Any) -> Any:
        """Names in place of the word for a set of metrics."""
        if not isinstance(given, dict) or "set" not in given:
            return given
        wanted = given["set"]
        if wanted not in METRIC_SETS:
            raise ValueError(f"set = {wanted!r}, expected one of {', '.join(METRIC_SETS)}")
        if "names" in given:
            raise ValueError(f"set = '{wanted}' and names: give one of them")
        return {name: value for name, value in given.items() if name != "set"} | {"names": METRIC_SETS[wanted]}

    @field_validator("metrics")
    @classmethod
    def _metrics_known(cls, metrics: MetricSettings) -> MetricSettings:
        return check_metrics(metrics)

    @model_validator(mode="after")
    def _fills_fit(self) -> Self:
        for fill in (self.metrics.fill, *(self.vary.fills if self.vary else ())):
            require_fill(fill, len(self.cases.classes))
        return self


def read_settings(path: Path | None) -> StudySettings:
    """A study file, or the built-in study where there is none.

    Raises:
        SettingsError: missing, not TOML, or a setting that cannot be; with its place in the file.
    """
    return settings_from(*study_content(path))


def study_content(path: Path | None) -> tuple[dict[str, Any], str]:
    """What stands in a study file, or in the built-in one, and what errors call it; nothing of it is checked.

    Raises:
        SettingsError: missing, or not TOML.
    """
    if path is None:
        text, where = resources.files("tomolens.study").joinpath("phantom.toml").read_text(), "built-in study"
    else:
        try:
            text, where = path.read_text(encoding="utf-8-sig"), str(path)  # as Windows' editors write it
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'not a text file'})"
            ) from error
    try:
        return tomllib.loads(text), where
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{where}: not TOML ({error})") from error


def stored_settings(store: Store) -> StudySettings:
    """The settings of a study's folder.

    Raises:
        SettingsError: no study there, or one of another version.
    """
    try:
        return settings_from(store.description().settings, str(store.description_file))
    except KeyError as error:
        raise SettingsError(f"{store.description_file}: no settings ({error})") from error


def settings_from(content: Mapping[str, Any], where: str) -> StudySettings:
    """The settings of a study file that was read from ``where``.

    Raises:
        SettingsError: a setting that cannot be; with its place in the file.
    """
    try:
        return StudySettings.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "study"
        given = first.get("input")
        value = f" (given: {given!r})" if isinstance(given, str | int | float | list) else ""
        raise SettingsError(f"{where}: {place}: {first['msg'].removeprefix('Value error, ')}{value}") from error
