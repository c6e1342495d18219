"""A study from its file to its findings: the one place that joins cases, runner, findings and report."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Literal

from .cases import CONTRAST_CLASSES, Cases, from_manifest, phantom
from .cases.implants import IMPLANTS, implanted
from .cases.slices import SliceChoice
from .cases.sources.class_folders import index_folder
from .cases.sources.dicom_tree import IndexOptions
from .classifier import Classifier
from .classifier.classifier import usable_device
from .classifier.network_file import NetworkFile
from .classifier.weights import require_writable
from .errors import SettingsError
from .findings import Findings
from .progress import Progress, silent
from .report import is_current, write_latex, write_report, write_tables
from .results.store import Store
from .study.cost import StudyCost, estimate
from .study.fitting_estimators import without_gradients, without_layers, without_references
from .study.given_network import (
    classifier_of,
    declared,
    in_patches,
    named_in,
    network_notes,
    require_agreement,
    require_dimensions,
    require_named,
    require_outputs,
    trained_classifier,
    with_network,
)
from .study.networks import fit_network
from .study.runner import Resources, run_study
from .study.settings import StudySettings, settings_from, stored_settings, study_content
from .study.verify import verify


@dataclass(frozen=True)
class Study:
    """A study, ready to run.

    Attributes:
        settings: every choice; see `StudySettings`.
        places: CSV files of the cases, or a folder with one sub-folder a class; none where they are simulated.
        cases: cases of one's own instead of a manifest, with their ``split`` or with ``settings.cases.folds``.
        classifier: to evaluate on all held-out cases; None trains one, as the settings say.
    """

    settings: StudySettings
    places: tuple[Path, ...] = ()
    cases: Cases | None = None
    classifier: Classifier | None = None

    def __post_init__(self) -> None:
        patches = self.settings.classifier.patches
        if patches is not None and (self.classifier is None or self.classifier.patches != patches):
            object.__setattr__(self, "classifier", in_patches(self.classifier, self.settings))

    @classmethod
    def from_toml(
        cls,
        path: str | Path | None = None,
        cases: str | Path | Sequence[str | Path] | Cases | None = None,
        classifier: str | Path | Classifier | None = None,
        *,
        vary: bool = False,
        calibrate: bool = False,
        allow_code: bool = False,
    ) -> "Study":
        """A study from its file (the built-in one without), with a manifest or cases of one's own.

        Args:
            path: the study file.
            cases: CSV manifest or several, a folder with one sub-folder a class, or cases.
            classifier: ``network.toml`` of any network, weights (safetensors) of one that TomoLens trained, or a
                classifier. What ``network.toml`` says of the images holds where the study file says nothing.
            vary: also try other options for the choices that matter, see `VarySettings`.
            calibrate: also put implants into the cases, to see which views can judge maps; see `Calibration`.
            allow_code: whether ``network.toml`` may name a function of a Python file, which is then run.

        Raises:
            SettingsError: a file that is missing or wrong; see `read_settings`.
            NetworkError: a network that cannot be used; see `read_network_file` and `load_weights`.
        """
        file = None if path is None else Path(path)
        content, where = study_content(file)
        named = named_in(content, file)
        if classifier is None:
            classifier = named
        else:
            require_named(named, classifier, where)
        if isinstance(classifier, str | Path):
            network = declared(Path(classifier), allow_code=allow_code)
            if network is not None:
                content = with_network(content, network, over=file is None)
        settings = settings_from(content, where)
        settings = settings.varied() if vary else settings
        return cls.of(settings.calibrated() if calibrate else settings, cases, classifier, allow_code=allow_code)

    @classmethod
    def of(
        cls,
        settings: StudySettings,
        cases: str | Path | Sequence[str | Path] | Cases | None = None,
        classifier: str | Path | Classifier | NetworkFile | None = None,
        *,
        allow_code: bool = False,
    ) -> "Study":
        """A study from its settings; see `from_toml`."""
        if isinstance(classifier, str | Path):
            place = Path(classifier)
            network = declared(place, allow_code=allow_code)
            classifier = trained_classifier(place, settings) if network is None else network
        if isinstance(classifier, NetworkFile):
            if not isinstance(cases, Cases):
                require_dimensions(classifier.contract, settings, classifier.source.path.name)
            classifier = classifier_of(classifier, settings)
        elif isinstance(classifier, Classifier) and classifier.sourced is not None and not isinstance(cases, Cases):
            require_dimensions(classifier.sourced.contract, settings, "the network")
            require_agreement(classifier.sourced.contract, settings, "the network")
        if isinstance(cases, Cases):
            return cls(settings, cases=cases, classifier=classifier)
        places = () if cases is None else (cases,) if isinstance(cases, str | Path) else cases
        return cls(settings, tuple(map(Path, places)), classifier=classifier)

    @property
    def network_notes(self) -> list[str]:
        """What is odd about a network that was given."""
        return network_notes(self.classifier)

    @property
    def on_error(self) -> Literal["stop", "skip"]:
        """What an unreadable case does: a folder may hold anything, a CSV names what is meant.

        Not every slice can take an implant: those that cannot are left out.
        """
        chosen = self.settings.cases
        may_hold_anything = any(place.is_dir() for place in self.places) or chosen.implant is not None
        return chosen.on_error or ("skip" if may_hold_anything else "stop")

    def load_cases(self, progress: Progress = silent) -> Cases:
        """All cases of the study, lazy.

        Raises:
            SettingsError: a manifest where cases are simulated, or none where they are not.
            CaseError: see `from_manifest`, `index_folder` and `implanted`.
        """
        chosen, cases = self.settings.cases, self._original_cases(progress)
        if chosen.implant is None:
            return cases
        altered = implanted(cases, chosen.implant, self.settings.seed, diameters=chosen.finding_mm)
        return replace(altered, classes=chosen.classes)

    def _original_cases(self, progress: Progress) -> Cases:
        if self.cases is not None:
            return self.cases
        settings = self.settings.cases
        if settings.source == "phantom":
            if self.places:
                raise SettingsError(
                    f"study '{self.settings.name}' simulates its cases: --cases needs a study file with "
                    "cases.source = 'manifest'"
                )
            return simulated_cases(self.settings)
        if not self.places:
            raise SettingsError(f"study '{self.settings.name}' reads cases from a manifest: give it with --cases")
        if self.places[0].is_dir():
            if len(self.places) > 1:
                raise SettingsError(f"{self.places[0]}: a folder of classes stands alone; join CSV files instead")
            if settings.implant is not None and not IMPLANTS[settings.implant].both_ways:
                raise SettingsError(
                    f"{self.places[0]}: a {settings.implant} goes into cases without one, and a folder has one "
                    "sub-folder a class: give a CSV whose labels are all 0"
                )
            options = IndexOptions(
                classes=None if settings.classes == CONTRAST_CLASSES else settings.classes,
                keep_patients=settings.keep_patients,
                on_error=self.on_error,
                masks=settings.masks,
                slices=SliceChoice("volume" if settings.dimensions == 3 else "all"),
                progress=progress,
            )
            index = index_folder(self.places[0], options)
            if index.classes != settings.classes:
                raise SettingsError(
                    f"{self.places[0]}: its sub-folders are {', '.join(index.classes[:-1])} and {index.classes[-1]}: "
                    f"give the study cases.classes = {json.dumps(index.classes)}, in the order of the labels 0, 1, ..."
                )
            return index.cases(settings.preprocessing, settings.masks, dimensions=settings.dimensions)
        return from_manifest(
            self.places,
            settings.preprocessing,
            settings.classes,
            masks=settings.masks,
            anatomy=settings.structures,
            dimensions=settings.dimensions,
            keep_patients=settings.keep_patients,
        )

    def estimate(self, *, device: str = "cpu", progress: Progress = silent) -> StudyCost:
        """What the study would take, from some seconds of measuring; nothing is written.

        Raises:
            TomolensError: input that cannot be used.
        """
        found = usable_device(device)
        if self.classifier is not None:
            self.classifier.network.to(found)
        cases, chosen, settings = self.load_cases(progress), self.settings.cases, self.settings
        given = [entry.split for entry in cases.entries]
        share, networks = chosen.hold_out or 1.0, 1
        held_out, learned = round(share * len(cases)), round((1 - share) * len(cases))
        if any(given):
            learned = given.count("train")
            held_out = len(cases) - learned
        elif self.classifier is not None:
            held_out, learned = len(cases), 0
        elif chosen.folds is not None:
            patients = len({entry.patient for entry in cases.entries})
            if patients < chosen.folds:
                raise SettingsError(f"{patients} patients cannot fill {chosen.folds} folds: ask for fewer cases.folds")
            networks = chosen.folds
            learned = round(len(cases) * (1 - 1 / networks))
        if self.classifier is not None:
            require_outputs(self.classifier, cases)
        if self.classifier is not None and self.classifier.forward_only:
            settings, _ = without_gradients(settings, self.classifier.forward_only)
        if self.classifier is not None and self.classifier.patches is not None:
            settings, _ = without_layers(settings)
        if self.classifier is not None and not learned:
            settings, _ = without_references(settings)
        if chosen.train_per_scan is not None:
            scans = Counter(entry.scan or entry.name for entry in cases.entries)
            thinned = sum(min(count, chosen.train_per_scan) for count in scans.values())
            learned = round(learned * thinned / len(cases))
        return estimate(settings, cases, held_out, learned, networks, self.classifier, device)

    def run(
        self,
        out: str | Path,
        *,
        device: str = "cpu",
        workers: int | None = None,
        executor: Literal["local", "ray"] = "local",
        address: str | None = None,
        progress: Progress = silent,
    ) -> Findings:
        """Run the study into the folder ``out``, or finish it there, and write tables, figures and page.

        Of a study that is finished, with all of them as this version writes them, nothing is written again.

        Args:
            out: folder of the study.
            device: where networks run.
            workers: processes on this machine; chosen from its cores and the cases by default.
            executor: ``local``, or ``ray`` for a cluster.
            address: of the Ray cluster, ``auto`` to find it; None starts one on this machine.
            progress: told how far it is.

        Raises:
            TomolensError: input that cannot be used, or a folder that holds another study or in which one runs.
        """
        found = usable_device(device)
        if self.classifier is not None:
            self.classifier.network.to(found)
        with Store(Path(out)) as store:
            run_study(
                self.settings,
                store,
                self.load_cases(progress),
                classifier=self.classifier,
                resources=Resources(device, workers, executor, address),
                on_error=self.on_error,
                progress=progress,
            )
            return Findings.from_folder(out) if is_current(store) else report(out, progress)


def report(out: str | Path, progress: Progress = silent) -> Findings:
    """Write the tables, figures and page of a study's folder anew from its stored measurements."""
    findings = Findings.from_folder(out)
    write_report(findings, Store(Path(out)), progress)
    return findings


def report_tables(out: str | Path, kind: Literal["csv", "latex"]) -> list[Path]:
    """Write only the tables of a study's folder anew, as CSV or as LaTeX; returns the files.

    Raises:
        SettingsError: no study there, or a damaged one.
    """
    findings, folder = Findings.from_folder(out), Path(out) / "tables"
    if kind == "csv":
        return write_tables(findings, folder)
    folder.mkdir(exist_ok=True)
    write_latex(findings, folder / "findings.tex")
    return [folder / "findings.tex"]


def free_folder(out: str | Path) -> Path:
    """``out`` where nothing lies there, or the first of ``out-2``, ``out-3``, ... that is free."""
    wanted = Path(out)
    named = (wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}") for number in count(1))
    return next(folder for folder in named if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())))


def verify_study(
    results: str | Path,
    cases: str | Path | Sequence[str | Path] | Cases | None = None,
    classifier: str | Path | Classifier | None = None,
    *,
    sample: int = 5,
    device: str = "cpu",
    allow_code: bool = False,
    progress: Progress = silent,
) -> tuple[list[str], bool]:
    """Compute some cases of a finished study again, with its stored networks, and compare every number.

    Args:
        results: folder of the study; nothing is written there.
        cases: as they were given to the study.
        classifier: as it was given to the study.
        sample: how many cases.
        allow_code: as it was given to the study.
        device: where networks run; numbers are the same on devices of the same type.
        progress: told how far it is.

    Returns:
        What to say, and whether all numbers are the same.

    Raises:
        SettingsError: no study there, or other cases or another network than the study's.
    """
    store = Store(Path(results))
    study = Study.of(stored_settings(store), cases, classifier, allow_code=allow_code)
    found = verify(
        study.settings,
        store,
        study.load_cases(progress),
        classifier=study.classifier,
        count=sample,
        device=device,
        progress=progress,
    )
    lines = [f"{len(found.checked)} cases computed again: {', '.join(found.checked)}"]
    lines += [f"case {name} differs, by at most {worst:.3g}" for name, worst in found.differing.items()]
    return [*lines, *([] if found.differing else ["every number is the same"])], not found.differing


def simulated_cases(settings: StudySettings) -> Cases:
    """Training and test phantoms of one seed, each with its side."""
    chosen = settings.cases
    drawn = phantom.cases(
        chosen.train + chosen.test,
        seed=settings.seed,
        preprocessing=chosen.preprocessing,
        marker=chosen.marker,
        finding=chosen.finding,
        finding_mm=chosen.finding_mm,
        dimensions=chosen.dimensions,
    )
    entries = tuple(
        replace(entry, split="train" if index < chosen.train else "test") for index, entry in enumerate(drawn.entries)
    )
    return Cases(entries, drawn.read, chosen.classes)


def train_network(
    study: Study, out: str | Path, *, device: str = "cpu", progress: Progress = silent
) -> dict[str, object]:
    """Train the network of a study on its training cases alone and write its weights.

    Args:
        study: whose cases and recipe are used; cases that its manifest or simulation holds out are not seen.
        out: safetensors file.
        device: where to train.
        progress: told how far it is.

    Returns:
        What is known of the training, as stored with the weights.
    """
    usable_device(device)
    require_writable(Path(out))
    cases = study.load_cases(progress)
    training = [index for index, entry in enumerate(cases.entries) if entry.split != "test"]
    return fit_network(study.settings, cases.select(training), Path(out), device=device, progress=progress)
