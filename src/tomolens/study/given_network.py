"""A network that is given to a study: what it tells the study file, and that both agree."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

import torch

from ..cases import Cases
from ..classifier import Classifier, InputContract
from ..classifier.inputs import require_one_input
from ..classifier.network_file import NetworkFile, read_network_file
from ..classifier.weights import load_weights, read_weights
from ..errors import NetworkError, SettingsError, reason_of
from .fitting_estimators import without_gradients
from .settings import StudySettings


def declared(place: Path, *, allow_code: bool = False) -> NetworkFile | None:
    """What a ``network.toml`` declares; None of weights that TomoLens trained, which need none.

    Raises:
        NetworkError: see `read_network_file`, or a network of which nothing is declared.
    """
    if place.suffix == ".toml":
        return read_network_file(place, allow_code=allow_code)
    if place.suffix == ".safetensors" and place.is_file():
        return None
    if not place.exists() and ".py:" not in place.name:
        raise NetworkError(f"{place}: no such file")
    raise NetworkError(
        f"{place}: what goes into this network and what comes out of it is not declared: "
        f"`tomolens model check {place} --out network.toml` tries it and writes that down; give the study network.toml"
    )


def named_in(content: Mapping[str, Any], study_file: Path | None) -> Path | None:
    """The network that a study file names, seen from its folder; None where it names none."""
    classifier = content.get("classifier")
    name = classifier.get("network") if isinstance(classifier, Mapping) else None
    if not isinstance(name, str) or not name:
        return None
    return (Path() if study_file is None else study_file.parent) / name


def require_named(named: Path | None, given: Any, where: str) -> None:
    """Refuse a network beside the one that a study file names, unless it is that one.

    Raises:
        SettingsError: two networks.
    """
    same = named is not None and isinstance(given, str | Path) and Path(given).resolve() == named.resolve()
    if named is not None and not same:
        raise SettingsError(f"{where}: classifier.network is {named}, and another network is given: take one of them")


def with_network(content: Mapping[str, Any], network: NetworkFile, *, over: bool) -> dict[str, Any]:
    """A study file whose cases are as the network takes them.

    Args:
        content: of the study file.
        network: that is given.
        over: whether the network's word is put over the file's, as over the built-in study's, which is for any network.
    """
    cases = content.get("cases", {})
    if not isinstance(cases, Mapping):
        return dict(content)
    told = {name: value for name, value in _told(network, content).items() if over or name not in cases}
    return {**content, "cases": {**cases, **told}}


def _told(network: NetworkFile, content: Mapping[str, Any]) -> dict[str, Any]:
    contract = network.contract
    told: dict[str, Any] = {}
    if len(contract.size) == 3:
        told["dimensions"] = 3
    classifier = content.get("classifier")
    of_patches = isinstance(classifier, Mapping) and classifier.get("patches") is not None
    if contract.size and not of_patches:
        told["size"] = contract.size[0] if len(set(contract.size)) == 1 else list(contract.size)
    if contract.windows:
        windows = [list(pair) for pair in contract.windows]
        told["window"] = windows[0] if len(windows) == 1 else windows
    if contract.spacing:
        told["spacing"] = contract.spacing[0] if len(set(contract.spacing)) == 1 else list(contract.spacing)
    label = classifier.get("label", "") if isinstance(classifier, Mapping) else ""
    if network.task == "labels" and label:
        name = name_of_label(label, network.classes)
        told["classes"] = [f"no {name}", name]
    elif network.task == "classes" and network.classes:
        told["classes"] = list(network.classes)
    return told


def name_of_label(label: str, names: Sequence[str]) -> str:
    """What a label that may be given by its number is called."""
    if label in names or not label.isdecimal():
        return label
    return names[int(label)] if int(label) < len(names) else f"label {label}"


def classifier_of(network: NetworkFile, settings: StudySettings) -> Classifier:
    """The classifier of a network that agrees with the study, loaded; of several labels the one that the study names.

    Raises:
        NetworkError: see `load_source`.
        SettingsError: another size, window, pixel size or other classes than the study's, or no label named.
    """
    cases, name = settings.cases, network.source.path.name
    require_agreement(network.contract, settings, name)
    classifier = _loaded(network, settings)
    outputs = _outputs(classifier, network.contract, name)
    if network.classes and outputs not in (None, len(network.classes)):
        raise SettingsError(
            f"{name}: returns {outputs} {network.task}, its network.toml names {len(network.classes)}: "
            f"{', '.join(network.classes)}"
        )
    if network.task == "labels":
        return classifier.of_label(label_of(network, settings.classifier.label, outputs))
    if settings.classifier.label:
        raise SettingsError(f"classifier.label '{settings.classifier.label}': {name} has classes and no labels")
    if network.classes and network.classes != cases.classes:
        raise SettingsError(
            f"{name}: its outputs are {', '.join(network.classes)}, cases.classes are {', '.join(cases.classes)}: "
            "name them alike, in the order of its outputs"
        )
    if outputs not in (None, len(cases.classes)):
        raise SettingsError(
            f"{name}: tells {outputs} classes apart, cases.classes names {len(cases.classes)}: name as many, in the "
            "order of its outputs, in the study file or with `tomolens model check --classes`"
        )
    return classifier


def _outputs(classifier: Classifier, contract: InputContract, name: str) -> int | None:
    """How many classes or labels a network tells, by asking it once: a wrong word of it shows before cases are read.

    None where any size goes in, so that there is no image to ask about.

    Raises:
        NetworkError: it breaks on an image of its size, or returns what is not declared.
    """
    if not contract.size:
        return None  # of whatever size: the first case tells
    grey = torch.full((1, max(len(contract.windows), 1), *contract.size), 0.5)
    try:
        return int(classifier.predicted_scores(grey).shape[1])
    except Exception as error:  # a network may raise anything
        raise NetworkError(
            f"{name}: {reason_of(error)}; is it still as network.toml says? `tomolens model check` tries it"
        ) from error


def require_outputs(classifier: Classifier, cases: Cases) -> None:
    """Refuse a network of several inputs or labels, or of other classes than the cases', by its scores of the first.

    Raises:
        SettingsError: with what to do.
    """
    require_one_input(classifier.network)
    if classifier.task == "labels":
        raise SettingsError(
            "a study is of classes, and the network has several labels: give one of them, classifier.of_label(index)"
        )
    try:
        found = classifier.predicted_scores(torch.from_numpy(cases[0].image)[None]).shape[1]
    except Exception:  # a network that breaks on a case is told of as every such case is, when its turn comes
        return
    if found != len(cases.classes):
        raise SettingsError(f"the network has {found} classes, cases.classes names {len(cases.classes)}")


def network_notes(classifier: Classifier | None) -> list[str]:
    """What is odd about a given network, and what its makers do to images that this study does not."""
    found = None if classifier is None else classifier.sourced
    if found is None:
        return []
    told = [
        f"not taken over from the network's own preparation of images: {one}" for one in found.contract.not_translated
    ]
    return [*found.notes, *told]


def require_dimensions(contract: InputContract, settings: StudySettings, name: str) -> None:
    """Refuse a network of volumes where a study reads slices, and one of slices where it reads volumes.

    Raises:
        SettingsError: with what to do.
    """
    wanted, given = len(contract.size), settings.cases.dimensions
    if wanted and wanted != given:
        kinds = {2: "slices", 3: "volumes"}
        raise SettingsError(
            f"{name}: takes {kinds.get(wanted, 'images')} of {' x '.join(map(str, contract.size))}, and the study "
            f"reads {kinds[given]}: give it cases.dimensions = {wanted}"
        )


def require_agreement(contract: InputContract, settings: StudySettings, name: str) -> None:
    """Refuse a network of other images than the study reads.

    Raises:
        SettingsError: another size, window or pixel size; ``name`` is how the network is called.
    """
    cases = settings.cases
    spacing, patches = cases.preprocessing.spacing, settings.classifier.patches
    size = cases.preprocessing.shape(len(contract.size)) if contract.size else ()
    if contract.size and patches is not None:
        size = patches.voxels(len(size), one_an_axis(spacing, len(size)) or None)
    differing = {
        "cases.size" if patches is None else "classifier.patches.size": (contract.size, size),
        "cases.window": (contract.windows, cases.preprocessing.windows),
        "cases.spacing": (contract.spacing, one_an_axis(spacing, len(contract.spacing))),
    }
    for setting, (wanted, given) in differing.items():
        if wanted and wanted != given:
            raise SettingsError(f"{name}: takes {setting} = {_listed(wanted)}, the study has {_listed(given)}")


def _loaded(network: NetworkFile, settings: StudySettings) -> Classifier:
    classifier = network.classifier()
    if classifier.forward_only:
        without_gradients(settings, classifier.forward_only)  # refuses those that are named, before any case is read
    return classifier


def label_of(network: NetworkFile, label: str, count: int | None, asked: str = "classifier.label") -> int:
    """Which output of a network of labels is meant by a name or number.

    Args:
        network: of the labels.
        label: its name or number.
        count: of the outputs, where it is known.
        asked: how it is asked for, as an error says it.

    Raises:
        SettingsError: none is named, or one that there is not.
    """
    if label in network.classes:
        return network.classes.index(label)
    if label.isdecimal() and (count is None or int(label) < count):
        return int(label)
    name, known = (
        network.source.path.name,
        network.classes or (tuple(map(str, range(count))) if count else ("0", "1", "...")),
    )
    if not label:
        raise SettingsError(
            f"{name}: has several labels ({', '.join(known)}), and one of them is explained: give {asked}"
        )
    near = get_close_matches(label, known, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise SettingsError(f"{asked} '{label}': {hint}the labels of {name} are {', '.join(known)}")


def one_an_axis(value: float | tuple[float, ...] | None, axes: int) -> tuple[float, ...]:
    """A number for each axis, of one for all of them; none of None."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, tuple) else (float(value),) * axes


def _listed(value: Any) -> Any:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value


def in_patches(classifier: Classifier | None, settings: StudySettings) -> Classifier | None:
    """The network of a study as it is shown images: whole, or by patches where the study file has any.

    Raises:
        SettingsError: patches of a network that the study trains, or see `Classifier.in_patches`.
    """
    patches = settings.classifier.patches
    if patches is None:
        return classifier
    if classifier is None:
        raise SettingsError(
            "classifier.patches: they are of a network that is given; one that the study trains sees whole images"
        )
    spacing = one_an_axis(settings.cases.spacing, settings.cases.dimensions) or None
    patches.voxels(settings.cases.dimensions, spacing)  # refuses millimetres and axes that cannot be
    return classifier.in_patches(patches, spacing)


def trained_classifier(path: Path, settings: StudySettings) -> Classifier:
    """The classifier of a weights file that TomoLens trained on images as this study makes them.

    Raises:
        NetworkError: see `load_weights`.
        SettingsError: the network was trained at another size, window or pixel size, or on slices and not on volumes.
    """
    if "architecture" not in read_weights(path)[1]:
        raise NetworkError(
            f"{path}: is not of a network that TomoLens trained, and weights alone do not say what they are of: run "
            f"`tomolens model check {path} --architecture ... --out network.toml`, and give the study network.toml"
        )
    classifier, notes = load_weights(path)
    chosen, patches = settings.model_dump(mode="json")["cases"], settings.classifier.patches
    if patches is not None and "size" in notes:
        axes, trained = settings.cases.dimensions, cast("Any", notes["size"])
        wanted = tuple(trained) if isinstance(trained, list) else (trained,) * axes
        size = patches.voxels(axes, one_an_axis(settings.cases.spacing, axes) or None)
        if wanted != size:
            raise SettingsError(f"{path}: trained at {list(wanted)} voxels, classifier.patches.size is {list(size)}")
        chosen["size"] = trained
    if "size" in notes:  # before pixels could have a size, whole scans were resized
        notes = {"dimensions": 2, "crop": None, "spacing": None, **notes}
    for name in ("dimensions", "size", "window", "spacing", "crop"):
        if notes.get(name, chosen[name]) != chosen[name]:
            raise SettingsError(f"{path}: trained with cases.{name} = {notes[name]}, the study has {chosen[name]}")
    return classifier
