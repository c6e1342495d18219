"""From a scan and a network to maps on the scan's own voxels."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..cases import Case, CaseEntry, MaskChoice
from ..cases.files import FileReader
from ..cases.geometry import Grid
from ..cases.grid import Grid as CaseGrid
from ..cases.slices import SliceChoice
from ..cases.stored import read_source
from ..errors import CaseError, NetworkError, SettingsError
from ..estimators.estimator import Estimator, spelled
from ..estimators.explain import explain_each
from ..estimators.registry import make_estimator
from ..estimators.subject import Scene
from ..progress import Progress, silent
from ..regions import segment, xrai
from .given import GivenNetwork, read_network
from .scan_map import ScanMap

AT_A_TIME = 16
"""Slices that are in memory together, with their maps."""


@dataclass(frozen=True, eq=False)
class ExplainedScan:
    """What came of a scan.

    Attributes:
        maps: by estimator, on the scan's voxels.
        regions: of each of them its region map (XRAI), where it was asked for.
        prediction: what the network says about the scan, in words.
        hu: float32 ``(slices, rows, columns)`` of the scan as it is stored.
        grid: of these voxels.
        probabilities: of each class, ``(images, classes)``: of each slice that was shown, or of the whole.
        slices: which upright slices these are, counted from the feet; empty where the whole was shown.
        explained_class: number of the class whose score is explained.
        left_out: slices that could not be shown, and estimators that failed, with the reason.
        notes: what is odd about the scan or a map, in words.
    """

    maps: dict[str, ScanMap]
    hu: NDArray[np.float32]
    grid: Grid
    probabilities: NDArray[np.float64]
    slices: tuple[int, ...]
    explained_class: int
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    regions: dict[str, ScanMap] = field(default_factory=dict)
    prediction: str = ""


def explain_scan(
    scan: str | Path,
    network: GivenNetwork | str | Path,
    estimators: Sequence[str | Estimator] | str | Estimator,
    *,
    explained_class: str = "",
    slices: str = "all",
    series: str = "",
    seed: int = 0,
    regions: bool = False,
    batch_size: int = 16,
    progress: Progress = silent,
) -> ExplainedScan:
    """Maps of a scan by several estimators, on its own voxels.

    A network of slices is shown those that are chosen, one by one; a network of volumes is shown all of it. One class
    is explained in all of them.

    Args:
        scan: a file (DICOM, NIfTI, NRRD, MetaImage), or a folder or archive of DICOM slices.
        network: ``network.toml`` of `tomolens model check`, weights of `tomolens train`, or what `read_network` made
            of them.
        estimators: to make maps, by name or as they are.
        explained_class: its name or number; that of the highest mean probability by default.
        slices: ``all``, ``every=N``, ``count=N``, or numbers counted from the feet, as ``3,10-14``.
        series: name or UID, where there are several.
        seed: of random draws.
        regions: whether each map is made a region map too (XRAI).
        batch_size: images the network sees at a time.
        progress: told how far it is.

    Raises:
        CaseError: a scan that cannot be read, or none of whose slices can be shown.
        SettingsError: slices or a class that there are not.
        NetworkError: a network that breaks on it.

    Example:
        >>> explained = tl.explain_scan("scan/", "network.toml", "smoothgrad-squared")   # doctest: +SKIP
        >>> tl.write_nifti(explained.maps["smoothgrad-squared"], "map.nii.gz")   # doctest: +SKIP
    """
    network = network if isinstance(network, GivenNetwork) else read_network(Path(network))
    asked = [estimators] if isinstance(estimators, str) or not isinstance(estimators, Sequence) else estimators
    chosen = {spelled(one): one for one in (make_estimator(one) if isinstance(one, str) else one for one in asked)}
    place = Path(scan)
    stored = read_source(place, series)
    upright = stored.grid.upright()
    if network.dimensions == 3 and slices != "all":
        raise SettingsError(f"slices '{slices}': the network is shown all of {place}, not slices")
    places = () if network.dimensions == 3 else _slices(slices, upright.shape[0], place)
    shown = _Shown.of(place, network, series, places, stored.grid)
    probabilities, left_out = shown.looked_at(batch_size)
    target = _class(network, explained_class, probabilities)
    sums = _Sums(stored.grid, chosen, regions)
    notes: dict[str, None] = dict.fromkeys(network.notes)
    for first in range(0, len(shown.entries), AT_A_TIME):
        progress(f"explaining {place.name}", first, len(shown.entries))
        cases = list(map(shown.reader, shown.entries[first : first + AT_A_TIME]))
        notes |= dict.fromkeys(note for case in cases for note in case.notes)
        sums.add(network, cases, target, seed, batch_size)
    progress(f"explaining {place.name}", len(shown.entries), len(shown.entries))
    if not sums.values:
        raise NetworkError(f"{place}: no estimator has a map: {'; '.join(sums.failed.values())}")
    numbers = tuple(_number(entry.name) for entry in shown.entries) if places else ()
    prediction = _prediction(network, probabilities, numbers, target)
    told = network.name_of(target), prediction
    return ExplainedScan(
        {name: sums.map_of(name, *told) for name in sums.values},
        stored.hu,
        stored.grid,
        probabilities,
        numbers,
        target,
        left_out | sums.failed,
        (*notes, *sums.notes),
        {name: sums.regions_of(name, *told) for name in sums.values if sums.of_regions},
        prediction,
    )


@dataclass
class _Sums:
    """Maps of a scan that are put together slice by slice."""

    grid: Grid
    estimators: dict[str, Estimator]
    of_regions: bool = False
    values: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    regions: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.explained = np.zeros(self.grid.shape, dtype=bool)

    def add(self, network: GivenNetwork, cases: Sequence[Case], target: int, seed: int, batch_size: int) -> None:
        """Explain some cases and put their maps where they lie; an estimator that fails on one has no map at all."""
        images = torch.from_numpy(np.stack([case.image for case in cases]))
        spacings = [None if case.grid is None else case.grid.spacing for case in cases]
        working = [one for name, one in self.estimators.items() if name not in self.failed]
        made = explain_each(
            network.classifier,
            images,
            working,
            [target] * len(cases),
            scenes=[Scene(body=case.body, spacing=one) for case, one in zip(cases, spacings, strict=True)],
            seed=seed,
            names=[case.name for case in cases],
            batch_size=batch_size,
        )
        # Several of one name are told apart by what they change.
        times = Counter(one.name for one in working)
        by_name = {one.name if times[one.name] == 1 else spelled(one): spelled(one) for one in working}
        for name, error in made.failed.items():
            self.failed[by_name[name]] = str(error)
            self.values.pop(by_name[name], None)
        self.notes |= dict.fromkeys(f"{name}: {words}" for name, words in made.notes.items())
        for place, case in enumerate(cases):
            assert case.grid is not None
            within = case.grid.within
            seen = case.grid.to_source(np.ones(case.grid.shape, np.float32)) > 0
            self.explained[within] |= seen
            spacing = case.grid.spacing
            segments = segment(case.image, spacing=spacing) if self.of_regions else None
            for name, maps in made.maps.items():
                plane = maps[place].sum(dim=0).cpu().float().numpy()
                self._put(self.values, by_name[name], case.grid, seen, plane)
                if segments is not None:
                    grown = xrai(case.image, np.abs(plane), segments=segments)
                    self._put(self.regions, by_name[name], case.grid, seen, grown)

    def _put(
        self,
        wholes: dict[str, NDArray[np.float32]],
        name: str,
        grid: CaseGrid,
        seen: NDArray[np.bool_],
        plane: NDArray[np.floating],
    ) -> None:
        """What is known of a case, at its place in the scan."""
        whole = wholes.setdefault(name, np.zeros(self.grid.shape, np.float32))
        whole[grid.within] = np.where(seen, grid.to_source(plane), 0)

    def map_of(self, name: str, explained_class: str, prediction: str) -> ScanMap:
        """The map of one estimator."""
        one = self.estimators[name]
        told = name, one.title, explained_class, prediction
        return ScanMap(self.values[name], self.grid, self.explained, *told, parameters=repr(one))

    def regions_of(self, name: str, explained_class: str, prediction: str) -> ScanMap:
        """The region map of its magnitudes."""
        told = f"{name} by region", f"Regions (XRAI) of {self.estimators[name].title}", explained_class, prediction
        parameters = repr(self.estimators[name])
        return ScanMap(self.regions[name], self.grid, self.explained, *told, parameters=parameters)


@dataclass
class _Shown:
    """What the network is shown: images that are read when they are needed.

    Attributes:
        network: that sees them.
        reader: reads one.
        entries: of those that can be shown.
    """

    network: GivenNetwork
    reader: FileReader
    entries: list[CaseEntry]

    @classmethod
    def of(cls, place: Path, network: GivenNetwork, series: str, slices: Sequence[int], grid: Grid) -> "_Shown":
        """Slices of a scan, or all of it where there are none."""
        shape = grid.upright().shape[-network.dimensions :]
        reader = FileReader(network.preprocessing(shape), MaskChoice(), network.dimensions)
        whole = CaseEntry(place.name, 0, "", str(place), series=series)
        single = grid.upright().shape[0] == 1
        named = [replace(whole, name=_name(place, one), slice=None if single else one) for one in slices]
        return cls(network, reader, named or [whole])

    def looked_at(self, batch_size: int) -> tuple[NDArray[np.float64], dict[str, str]]:
        """Probabilities of each image, and those that cannot be shown with the reason; they are left out from here on.

        Raises:
            CaseError: none is left.
        """
        classifier = replace(self.network.classifier, score="probability")
        usable, found, left_out = [], [], {}
        for first in range(0, len(self.entries), AT_A_TIME):
            images = []
            for entry in self.entries[first : first + AT_A_TIME]:
                try:
                    images.append(self.reader(entry).image)
                    usable.append(entry)
                except CaseError as error:
                    left_out[entry.name] = str(error)
            if images:
                found.append(classifier.predicted_scores(torch.from_numpy(np.stack(images)), batch_size))
        if not usable:
            raise CaseError(next(iter(left_out.values())))
        self.entries = usable
        return np.concatenate(found).astype(np.float64), left_out


def _name(place: Path, slice: int) -> str:
    return f"{place.name} slice {slice}"


def _number(name: str) -> int:
    return int(name.rsplit(" ", 1)[1])


def _slices(text: str, count: int, place: Path) -> list[int]:
    """The slices that are asked for, in order.

    Raises:
        SettingsError: words that are none, or slices that the scan has not.
    """
    if text.replace(",", "").replace("-", "").replace(" ", "").isdecimal():
        return sorted({number for part in text.split(",") for number in _range(part, text, count, place)})
    kind = text.partition("=")[0]
    if kind not in ("all", "every", "count"):
        without = ": a scan to explain has no mask" if kind == "largest-mask" else ""
        raise SettingsError(f"slices '{text}'{without}, expected all, every=N, count=N, or numbers as 3,10-14")
    choice = SliceChoice.parse(text)
    return choice.of(range(count), lambda _: 0)


def _range(part: str, text: str, count: int, place: Path) -> range:
    first, dash, last = (word.strip() for word in part.partition("-"))
    if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
        raise SettingsError(f"slices '{text}', expected all, every=N, count=N, or numbers that rise, as 3,10-14")
    if int(last or first) >= count:
        raise SettingsError(f"slices '{text}': {place} has {count}, 0 (next to the feet) to {count - 1}")
    return range(int(first), int(last or first) + 1)


def _class(network: GivenNetwork, wanted: str, probabilities: NDArray[np.float64]) -> int:
    """The class to explain.

    Raises:
        SettingsError: one that there is not.
    """
    count = probabilities.shape[1]
    names = [network.name_of(index) for index in range(count)]
    if not wanted:
        return int(probabilities.mean(axis=0).argmax())
    if wanted in names:
        return names.index(wanted)
    if wanted.isdecimal() and int(wanted) < count:
        return int(wanted)
    raise SettingsError(f"class '{wanted}', expected one of {', '.join(names)}, or its number")


def _prediction(network: GivenNetwork, probabilities: NDArray[np.float64], slices: Sequence[int], target: int) -> str:
    """What the network says, in words."""
    predicted = int(probabilities.mean(axis=0).argmax())
    said = f"{network.name_of(predicted)} ({100 * probabilities[:, predicted].mean():.0f} %"
    if len(probabilities) == 1:
        return f"{said})"
    most = int(probabilities[:, target].argmax())
    highest = f"{network.name_of(target)} at most {100 * probabilities[most, target]:.0f} %, in slice {slices[most]}"
    return f"{said}, mean of {len(probabilities)} slices); {highest}"
