"""The study file: every choice of a study, checked, with the protocol's defaults. It names no place on a machine."""

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
    with_config,
)

from ..cases import CONTRAST_CLASSES, MaskChoice, Preprocessing
from ..cases.implants import Implant
from ..cases.phantom.findings import KINDS, Finding, classes_of, require_finding, window_of
from ..cases.phantom.markers import Marker
from ..cases.windows import Windows
from ..classifier.architectures import require_known
from ..classifier.training import Recipe
from ..declarations import require_plain
from ..errors import SettingsError
from ..estimators.baselines import BASELINES, TRUTH
from ..estimators.estimator import Estimator, is_blind
from ..estimators.given import Direction
from ..estimators.registry import PROTOCOL, SETS
from ..imputers.fills import Fill, require_fill
from ..metrics.evaluand import MetricSettings
from ..metrics.registry import SETS as METRIC_SETS
from ..metrics.reproducibility import REPRODUCIBILITY
from ..regions import RegionSettings
from ..results.store import Store
from .plan import Plan, Variations
from .ranges import check_made, check_metrics, check_names, check_regions, check_spacing, check_window, estimator_of

for _plain in (Recipe, RegionSettings, MetricSettings):
    with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(
        _plain
    )  # an unknown key in a study file is a mistake, not a comment

Count = Annotated[int, Field(ge=1, le=1_000_000)]
SMALLEST_SIDE, LARGEST_SIDE = 8, 4096
"""Pixels of an image along an axis."""


def _size(value: Any) -> int | tuple[int, ...]:
    """One number of pixels for all axes, or a list with one for each."""
    several = isinstance(value, list | tuple)
    for side in value if several else [value]:
        if type(side) is not int or not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            raise ValueError(
                f"{side!r} pixels along an axis, expected a whole number {SMALLEST_SIDE} to {LARGEST_SIDE}"
            )
    if several and len(value) not in (2, 3):
        raise ValueError(f"{len(value)} numbers of pixels, expected one for all axes or one for each of two or three")
    return tuple(value) if several else value


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CaseSettings(_Section):
    """Which cases, what the network sees of them, and which of them are held out.

    ``source = "phantom"`` simulates ``train`` and ``test`` cases. ``finding`` tells their classes apart, ``finding_mm``
    is its least and largest diameter (its own by default), and ``marker`` plants a shortcut in those with contrast or
    with the finding. ``classes`` and ``window`` are the finding's unless they are given.
    ``source = "manifest"`` reads the CSV given on the command line, or a folder with one sub-folder a class; with
    ``folds`` each case is explained by a network that never saw its patient, with ``hold_out`` about this share of the
    patients is kept for the test, and without either the CSV's ``split`` column decides. ``train_per_scan`` thins the
    slices of training scans, as the paper does.

    ``implant`` puts findings into the slices of a manifest, each of which then has a twin; see `implanted`. Its window
    and its two classes are the defaults, and slices that cannot take it are left out and counted.

    ``mask`` names the structures whose union is the expert's mask (all by default), ``mask_names`` the labels of label
    maps that have no names, and ``resample_masks`` allows masks on another grid. ``anatomy`` and ``anatomy_names`` are
    the same for the label maps of structures in the manifest's column ``anatomy``. ``on_error = "skip"`` leaves out
    cases that cannot be read and counts them (the default for folders; ``stop`` for a CSV). Patients are pseudonyms
    unless ``keep_patients``.

    ``classes`` names the labels 0, 1, ...; simulated cases have two. ``size`` is the number of pixels along every axis,
    or a list with one number for each (``[rows, columns]``). ``window`` has the HU that become black and white; several
    windows (at most eight) are a channel each. With ``spacing``, mm of a pixel or a list with one number for each axis,
    the scan is resampled to such pixels and cut or padded about its middle to ``size``; without, all of it is resized.
    """

    source: Literal["phantom", "manifest"] = "manifest"
    on_error: Literal["stop", "skip"] | None = None
    classes: tuple[str, ...] = CONTRAST_CLASSES
    size: Annotated[int | tuple[int, ...], BeforeValidator(_size)] = 224
    window: Annotated[Windows, BeforeValidator(check_window)] = (-160.0, 240.0)
    spacing: Annotated[float | tuple[float, ...] | None, BeforeValidator(check_spacing)] = None
    train: Count = 240
    test: Count = 24
    finding: Finding = "contrast"
    finding_mm: tuple[float, float] | None = None
    marker: Marker | None = None
    implant: Implant | None = None
    folds: Annotated[int, Field(ge=2, le=1_000)] | None = None
    hold_out: Annotated[float, Field(ge=0.01, le=0.5)] | None = None
    train_per_scan: Count | None = None
    mask: Annotated[tuple[str | int, ...], Field(min_length=1)] | None = None
    mask_names: dict[str, Annotated[int, Field(ge=0, le=2**32)]] = {}
    resample_masks: bool = False
    keep_patients: bool = False
    anatomy: Annotated[tuple[str | int, ...], Field(min_length=1)] | None = None
    anatomy_names: dict[str, Annotated[int, Field(ge=1, le=2**32)]] = {}

    @model_serializer(mode="wrap")
    def _as_given(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without settings that older studies had not, where they are not used: those stay the same studies."""
        written: dict[str, Any] = serialize(self)
        unused: dict[str, Any] = {"anatomy": None, "anatomy_names": {}}
        return {name: value for name, value in written.items() if name not in unused or value != unused[name]}

    @property
    def preprocessing(self) -> Preprocessing:
        """From Hounsfield units to what the network sees."""
        return Preprocessing(self.size, self.window, self.spacing)

    @property
    def masks(self) -> MaskChoice:
        """Which structures make the mask."""
        return MaskChoice(_words(self.mask), self.mask_names, self.resample_masks)

    @property
    def structures(self) -> MaskChoice:
        """Which structures of the anatomy count."""
        return MaskChoice(_words(self.anatomy), self.anatomy_names, self.resample_masks)

    @property
    def task_finding(self) -> Finding:
        """What simulated cases of the same task show: the study's own, or those on which its network learns first."""
        return self.finding if self.source == "phantom" else self.implant or "contrast"

    @model_validator(mode="before")
    @classmethod
    def _of_the_finding(cls, content: Any) -> Any:
        """Classes and window that go with a finding or an implant, where none are given."""
        if not isinstance(content, Mapping):
            return content
        finding = content.get("finding" if content.get("source") == "phantom" else "implant")
        if not isinstance(finding, str) or finding not in KINDS:
            return content
        chosen = cast("Finding", finding)
        return {"classes": classes_of(chosen), "window": window_of(chosen), **content}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_names("class", self.classes, None)
        for name in self.anatomy_names:
            require_plain("structure", name)
        if len(self.classes) < 2:
            raise ValueError(f"classes: {len(self.classes)} class, expected at least 2")
        for label, name in enumerate(self.classes):
            if not name.strip() or (name.strip().isdigit() and name.strip() != str(label)):
                raise ValueError(f"classes: label {label} cannot be called '{name}': it is no name, or another label")
        if self.source == "phantom" and (self.folds is not None or self.hold_out is not None):
            raise ValueError("folds, hold_out: simulated studies hold out fresh cases instead")
        if self.source == "phantom" and len(self.classes) != 2:
            raise ValueError(f"classes: simulated cases have two, and {len(self.classes)} are named")
        self._of_as_many_axes()
        if self.source != "phantom" and (self.finding != "contrast" or self.finding_mm is not None):
            raise ValueError(
                f"finding '{self.finding}': only simulated cases (source = 'phantom') are given one; of other cases it "
                "is the label"
            )
        require_finding(self.finding, self.finding_mm)
        if self.source != "phantom" and self.marker is not None:
            raise ValueError("marker: only simulated cases can carry a planted shortcut")
        if self.implant is not None and self.source == "phantom":
            raise ValueError("implant: it goes into the slices of a manifest; simulated cases have findings drawn in")
        if self.implant is not None and len(self.classes) != 2:
            raise ValueError(f"classes: an implant is there or not, and {len(self.classes)} are named")
        if self.folds is not None and self.hold_out is not None:
            raise ValueError("folds and hold_out are two ways to split: give one")
        return self

    def _of_as_many_axes(self) -> None:
        """Refuse sizes of pixels for other axes than numbers of pixels, or than slices have where there are slices."""
        given = {"size": self.size, "spacing": self.spacing}
        several = {name: list(value) for name, value in given.items() if isinstance(value, tuple)}
        for name, numbers in several.items():
            if self.source == "phantom" and len(numbers) != 2:
                raise ValueError(f"{name} {numbers}: simulated cases have two axes, rows and columns")
            if self.implant is not None and len(numbers) != 2:
                raise ValueError(f"{name} {numbers}: implants go into slices, with two axes, rows and columns")
        if len({len(numbers) for numbers in several.values()}) > 1:
            size, spacing = several["size"], several["spacing"]
            raise ValueError(f"size {size} and spacing {spacing}: one has a number for each of two axes, one of three")


def _words(names: tuple[str | int, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(str, names))


class PretrainingSettings(_Section):
    """Simulated cases on which the network is trained before it sees real ones."""

    cases: Count = 240
    recipe: Recipe = Recipe()


class RefiningSettings(_Section):
    """How a copy of the network goes on learning from randomly masked images, for the metric ``f-fidelity``."""

    epochs: Count = 5
    learning_rate: Annotated[float, Field(ge=1e-9, le=10.0)] = 1e-4


class ClassifierSettings(_Section):
    """How the network is trained, unless one is given.

    ``network`` is the ``network.toml`` of one that is given (see `tomolens model check`), seen from the study file's
    folder, and ``label`` which of its labels is studied, where it has several.
    """

    network: str = ""
    label: str = ""
    recipe: Recipe = Recipe()
    pretraining: PretrainingSettings | None = None
    refining: RefiningSettings = RefiningSettings()


class EstimatorSettings(_Section):
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
    parameters: dict[str, dict[str, Any]] = {}

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


class VarySettings(_Section):
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
    regions: dict[str, RegionSettings] = {
        "coarse": RegionSettings(scales=(250, 500, 1200)),
        "not dilated": RegionSettings(dilation=0),
    }

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


class StatisticsSettings(_Section):
    """Confidence intervals: bootstrap over patients."""

    resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    confidence: Annotated[float, Field(gt=0.5, le=0.999)] = 0.95


class VerdictSettings(_Section):
    """When a map is to be believed, see docs/verdict.md.

    ``confidence`` is that of all its tests together: maps that know nothing are believed in no more studies than the
    rest. ``least_turned`` is the share of the twins about which the network must decide otherwise for their truth to
    be its reason.
    """

    confidence: Annotated[float, Field(gt=0.5, le=0.999)] = 0.95
    least_turned: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5


class RepeatSettings(_Section):
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


class ResourceSettings(_Section):
    """What one worker of a cluster needs: processor cores, and GPUs where networks run on one (may be a fraction)."""

    cpus: Annotated[float, Field(gt=0, le=10_000)] = 1.0
    gpus: Annotated[float, Field(gt=0, le=10_000)] = 1.0


NOT_IN_THE_NUMBERS = {"resources", "keep_maps"}
"""Settings that another run of the same study may change."""


class StudySettings(_Section):
    """A whole study file.

    ``batch_size`` bounds the memory of every stage and does not show in the numbers. ``precision = "auto"`` asks
    for decisions only where they turn, of the quickest backend that the machine has, checked and audited, and for
    gradients of the network with its batch norms folded; ``fp32`` takes the network as it is, for everything.
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
