"""A network with all that must be known to show it a scan: window, pixels, axes and names of its classes."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

from ..cases import Preprocessing
from ..cases.crop import Crop
from ..cases.preprocessing import Spacing
from ..cases.windows import Windows, in_words
from ..classifier import Classifier, Intensity
from ..classifier.network_file import NetworkFile
from ..classifier.weights import load_weights, weights_hash
from ..errors import NetworkError, SettingsError
from ..study.content import content_of
from ..study.given_network import (
    declared,
    in_patches,
    label_of,
    name_of_label,
    named_in,
    network_notes,
    one_an_axis,
    require_agreement,
    require_dimensions,
    require_named,
    trained_classifier,
    with_network,
)
from ..study.networks import with_window
from ..study.settings import settings_from, study_content


@dataclass(frozen=True)
class GivenNetwork:
    """A network that can be shown scans.

    Attributes:
        classifier: loaded.
        window: Hounsfield units of black and white, or those of each channel.
        size: pixels along each axis; empty where any number will do, which takes the scan's own.
        spacing: millimetres of a pixel along each axis; None where the whole scan is resized.
        dimensions: 2 where it sees slices, 3 for volumes.
        classes: names of what it tells apart, as far as they are known.
        place: its file.
        hash: of all that is declared of it, or of its weights.
        known_as: what a study of it says of its network: ``weights``, or ``file_hash`` and ``input``; and ``patches``,
            None where it sees whole images.
        crop: which part of the scan it sees; None for all of it.
        cases_as: what a study of it says of its cases, where the network's file has no input: ``size``, ...
        label: which of several labels is explained, by its name; empty where there are classes.
        labels: names of all of them, as far as they are known.
        notes: what must be said of it, in words.
    """

    classifier: Classifier
    window: Windows
    size: tuple[int, ...]
    spacing: Spacing | None
    dimensions: Literal[2, 3]
    classes: tuple[str, ...]
    place: Path
    hash: str
    known_as: Mapping[str, str | None]
    label: str = ""
    notes: tuple[str, ...] = ()
    cases_as: Mapping[str, Any] = field(default_factory=dict)
    crop: Crop | None = None
    labels: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """What is done to a scan, in words."""
        size = " x ".join(map(str, self.size)) or "its own"
        pixels = "" if self.spacing is None else f", of {' x '.join(f'{one:g}' for one in self.spacing)} mm"
        part = "" if self.crop is None else f", of the {self.crop} alone"
        patches = self.classifier.patches
        shown = "" if patches is None else f", by patches of {patches.told}"
        return f"{in_words(self.window)}, {size} pixels{pixels}{part}{shown}"

    def preprocessing(self, shape: tuple[int, ...]) -> Preprocessing:
        """For a scan, or a slice of it, of this shape upright."""
        return Preprocessing(self.size or shape, self.window, self.spacing, self.crop)

    def name_of(self, index: int) -> str:
        """What a class is called, by its number where it has no name."""
        return self.classes[index] if index < len(self.classes) else f"class {index}"


def read_network(place: Path, *, label: str = "", study: Path | None = None, allow_code: bool = False) -> GivenNetwork:
    """The network of a ``network.toml``, or of weights that TomoLens trained.

    Args:
        place: of the file.
        label: which of several labels is explained, by name or number; empty where there are classes.
        study: file of a study with ``[classifier.patches]``, where it was trained on patches: scans are shown as the
            study shows its cases.
        allow_code: see `read_network_file`.

    Raises:
        NetworkError: see `declared`, or one that is not said to take windowed CT.
        SettingsError: several labels and none named, one that there is not, or a label of a network of classes; or
            a study without patches, or of another window or other classes.
    """
    file = declared(place, allow_code=allow_code)
    return _read_whole(place, file, label) if study is None else _by_patches(place, file, study, label)


def _by_patches(place: Path, file: NetworkFile | None, study: Path, label: str) -> GivenNetwork:
    """The network as a study shows its cases to it.

    Raises:
        NetworkError, SettingsError: see `read_network`.
    """
    content, where = study_content(study)
    require_named(named_in(content, study), place, where)
    settings = settings_from(content if file is None else with_network(content, file, over=False), where)
    cases, patches = settings.cases, settings.classifier.patches
    if patches is None:
        raise SettingsError(f"{study}: no [classifier.patches], so that nothing says how {place} is shown a scan")
    if file is None:
        trained_classifier(place, settings)  # refuses what it was not trained on
    else:
        require_dimensions(file.contract, settings, place.name)
        require_agreement(file.contract, settings, place.name)
    network = _read_whole(place, file, label or settings.classifier.label)
    if network.classes and not network.label and cases.classes != network.classes:
        told = ", ".join(cases.classes)
        raise SettingsError(f"{study} tells {told} apart, and the network {', '.join(network.classes)}")
    classifier = in_patches(with_window(network.classifier, settings), settings)
    assert classifier is not None
    known_as = {**network.known_as, "patches": repr(patches.alike(cases.dimensions))}
    if "weights" in known_as:
        known_as["weights"] = weights_hash(classifier.network)
    told = content_of(settings)["cases"]
    shown = {name: told.get(name) for name in ("window", "size", "spacing", "dimensions", "crop")}
    return replace(
        network,
        classifier=classifier,
        window=cases.window,
        size=cases.preprocessing.shape(cases.dimensions),
        spacing=one_an_axis(cases.spacing, cases.dimensions) or None,
        dimensions=cases.dimensions,
        crop=cases.crop,
        hash=_hash([network.hash, known_as["patches"], shown]),
        known_as=known_as,
        cases_as=shown,
    )


def _read_whole(place: Path, found: NetworkFile | None, label: str) -> GivenNetwork:
    if label and (found is None or found.task != "labels"):
        raise SettingsError(f"label '{label}': {place} has classes and no labels")
    if found is None:
        return _of_weights(place)
    contract, classifier, classes = found.contract, found.classifier(), found.classes
    if not contract.windows:
        raise NetworkError(
            f"{place}: which Hounsfield units are black and white is not declared: "
            f'`tomolens model check {found.source.path} --input "-160..240 HU ..." --out {place}` writes it down'
        )
    labels = classes if found.task == "labels" else ()
    if found.task == "labels":
        classifier = classifier.of_label(label_of(found, label, None, "--label"))
        label = name_of_label(label, labels)
        classes = (f"no {label}", label)
    window = contract.windows[0] if len(contract.windows) == 1 else contract.windows
    axes = len(contract.size or contract.spacing or contract.orientation) or 2
    dimensions: Literal[2, 3] = 3 if axes == 3 else 2
    spacing = contract.spacing or None
    known_as = {"file_hash": found.source.hash, "input": contract.said(), "patches": None}
    given = place, found.declared, known_as, label, tuple(network_notes(classifier))
    return GivenNetwork(classifier, window, contract.size, spacing, dimensions, classes, *given, labels=labels)


def _of_weights(place: Path) -> GivenNetwork:
    """Weights of `tomolens train`, whose notes say what they take.

    Raises:
        NetworkError: notes without a window and size, as of weights that were written otherwise.
    """
    classifier, notes = load_weights(place)
    window, size, spacing, classes = (cast("Any", notes.get(name)) for name in ("window", "size", "spacing", "classes"))
    if window is None or size is None:
        raise NetworkError(f"{place}: its notes say neither window nor size: describe it with `tomolens model check`")
    limits = _pairs(window)
    axes, crop = cast("Any", notes.get("dimensions", 2)), cast("Crop | None", notes.get("crop"))
    several = tuple(size) if isinstance(size, list) else (size,) * axes
    pixel = one_an_axis(tuple(spacing) if isinstance(spacing, list) else spacing, len(several)) or None
    classifier = Classifier(classifier.network, classifier.output, intensity=Intensity(hounsfield=limits))
    names = tuple(map(str, classes)) if isinstance(classes, list) else ()
    weights = weights_hash(classifier.network)
    # A study of slices says no dimensions, and one of whole scans no crop.
    volumes = 3 if len(several) == 3 else None
    seen = {"window": window, "size": size, "spacing": spacing, "dimensions": volumes, "crop": crop}
    return GivenNetwork(
        classifier,
        limits,
        several,
        pixel,
        3 if volumes else 2,
        names,
        place,
        _hash([weights, seen, names]),
        {"weights": weights, "patches": None},
        cases_as=seen,
        crop=crop,
    )


def _hash(content: Any) -> str:
    return hashlib.blake2b(json.dumps(content).encode(), digest_size=16).hexdigest()


def _pairs(window: Any) -> Windows:
    """Windows as the notes of weights have them: lists for pairs."""
    several = isinstance(window[0], list)
    return tuple(map(tuple, window)) if several else tuple(window)
