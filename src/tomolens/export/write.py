"""All that is asked for of a scan, in one folder, with a report that says how it was made."""

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import highdicom as hd

from ..cases.formats import IMAGE_SUFFIXES
from ..cases.places import suffix
from ..cases.pseudonyms import own_salt
from ..errors import SettingsError
from ..estimators.estimator import Estimator, spelled
from ..progress import Progress, silent
from ..study.provenance import provenance
from .dicom import anonymous, find_sources, write_capture, write_parametric_map, write_segmentation
from .explain_scan import ExplainedScan, explain_scan
from .given import GivenNetwork
from .nifti import told, write_nifti
from .page import page
from .pictures import Picture, pictures
from .scan_map import ScanMap
from .trust import Trust

Format = Literal["png", "nifti", "dicom", "html"]
FORMATS: tuple[Format, ...] = get_args(Format)
REPORT, PAGE = "explain.json", "maps.html"


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        network: that is shown the scans.
        estimators: to make maps.
        formats: to write.
        explained_class: see `explain_scan`.
        slices: likewise.
        series: likewise.
        seed: likewise.
        trust: of a study, or None.
        anyway: whether maps are written that a study says are not to be believed.
        anonymous: whether DICOM files name no patient.
        share: of the voxels in the DICOM segmentation: those of the largest magnitudes.
    """

    network: GivenNetwork
    estimators: tuple[Estimator, ...]
    formats: tuple[Format, ...] = ("png", "nifti")
    explained_class: str = ""
    slices: str = "all"
    series: str = ""
    seed: int = 0
    trust: Trust | None = None
    anyway: bool = False
    anonymous: bool = False
    share: float = 0.05

    @property
    def known_by(self) -> dict[str, Any]:
        """All that decides what is written: a folder that was written for the same is left as it is."""
        return {
            "network": self.network.hash,
            "estimators": [repr(one) for one in self.estimators],
            "formats": list(self.formats),
            "class": self.explained_class,
            "slices": self.slices,
            "series": self.series,
            "seed": self.seed,
            "trust": None if self.trust is None else self.trust.study,
            "anyway": self.anyway,
            "anonymous": self.anonymous,
            "share": self.share,
        }


def formats_of(text: str) -> tuple[Format, ...]:
    """From ``png,nifti``.

    Raises:
        SettingsError: a format that there is not.
    """
    found = tuple(dict.fromkeys(one.strip() for one in text.split(",") if one.strip()))
    for one in found:
        if one not in FORMATS:
            raise SettingsError(f"format '{one}', expected some of {', '.join(FORMATS)}")
    if not found:
        raise SettingsError(f"no format, expected some of {', '.join(FORMATS)}")
    return found  # type: ignore[return-value]


def is_done(folder: Path, request: Request) -> bool:
    """Whether a folder holds all of what is asked for already."""
    try:
        return bool(json.loads((folder / REPORT).read_text(encoding="utf-8"))["asked"] == request.known_by)
    except (OSError, ValueError, KeyError):
        return False


def explain_into(folder: Path, scan: Path, request: Request, *, progress: Progress = silent) -> dict[str, Any]:
    """Explain a scan and write everything into a folder; the report comes last, so that a part is never taken for all.

    Returns:
        The report.

    Raises:
        TomolensError: see `explain_scan`; a place that cannot be written.
    """
    began = time.perf_counter()
    if "dicom" in request.formats and suffix(scan) in IMAGE_SUFFIXES:
        raise SettingsError(f"{scan}: format 'dicom' is of DICOM scans, whose study the files belong to; take nifti")
    explained = explain_scan(
        scan,
        request.network,
        request.estimators,
        explained_class=request.explained_class,
        slices=request.slices,
        series=request.series,
        seed=request.seed,
        regions="dicom" in request.formats,
        progress=progress,
    )
    withheld: dict[str, str] = {}
    written: dict[str, list[str]] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        judged = dict(_judged(explained, request, withheld))
        for name, scan_map in judged.items():
            files = _written(folder, scan, explained, scan_map, request)
            written[name] = [str(file.relative_to(folder)) for file in files]
        if "html" in request.formats:
            text = page(scan.name, request.network, explained, list(judged.values()))
            (folder / PAGE).write_text(text, encoding="utf-8")
        maps = {name: {**told(one), "files": written[name]} for name, one in judged.items()}
        report = _report(scan, request, explained, maps, withheld, time.perf_counter() - began)
        partial = folder / f"{REPORT}.partial"
        partial.write_text(f"{json.dumps(report, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
        os.replace(partial, folder / REPORT)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written ({error.strerror})") from error
    return report


def _judged(explained: ExplainedScan, request: Request, withheld: dict[str, str]) -> Iterable[tuple[str, ScanMap]]:
    """The maps that may leave, with their line of trust; what a study says must not be believed leaves if asked."""
    for name, scan_map in explained.maps.items():
        if request.trust is None:
            yield name, scan_map
            continue
        judged = request.trust.told(scan_map)
        if request.trust.fails(scan_map) and not request.anyway:
            withheld[name] = judged.trust
        else:
            yield name, judged


def _written(folder: Path, scan: Path, explained: ExplainedScan, scan_map: ScanMap, request: Request) -> list[Path]:
    stem, files = plain(scan_map.estimator), []
    if "nifti" in request.formats:
        write_nifti(scan_map, folder / f"{stem}.nii.gz")
        files += [folder / f"{stem}.nii.gz", folder / f"{stem}.json"]
    drawn = pictures(explained, scan_map, request.network.window) if {"png", "dicom"} & {*request.formats} else []
    for picture in drawn if "png" in request.formats else ():
        files.append(folder / f"{stem}-slice-{picture.slice:04d}.png")
        files[-1].write_bytes(picture.png)
    if "dicom" in request.formats:
        by_region = explained.regions.get(scan_map.estimator)
        regions = None if by_region is None else replace(by_region, trust=scan_map.trust)
        files += _as_dicom(folder, scan, scan_map, regions, drawn, request)
    return files


def _as_dicom(
    folder: Path,
    scan: Path,
    scan_map: ScanMap,
    regions: ScanMap | None,
    drawn: Sequence[Picture],
    request: Request,
) -> list[Path]:
    """Parametric maps, segmentations of what is highest in the map and by region, and captures."""
    stem, sources = plain(scan_map.estimator), find_sources(scan, scan_map, request.series)
    if request.anonymous:
        sources = anonymous(sources, own_salt())
    files = [folder / f"{stem}-map.dcm", folder / f"{stem}-display.dcm"]
    for file, shown in zip(files, (False, True), strict=True):
        write_parametric_map(scan_map, sources, file, shown=shown)
    for one, kind in ((scan_map, "top"), (regions, "regions")):
        if one is not None and one.top(request.share).any():  # a map of 0, or of equal values, has no top
            files.append(folder / f"{stem}-{kind}.dcm")
            write_segmentation(one, sources, files[-1], share=request.share)
    series = str(hd.UID())
    for picture in drawn:
        files.append(folder / f"{stem}-capture-{picture.slice:04d}.dcm")
        stored = _stored(scan_map, picture.slice)
        write_capture(picture.pixels, scan_map, sources, files[-1], slice=stored, series=series)
    return files


def _stored(scan_map: ScanMap, slice: int) -> int | None:
    """Which slice of the stored scan an upright one is; None where it lies across them."""
    turn = scan_map.grid.upright_turn()
    if turn.order[0] != 0:
        return None
    return scan_map.grid.shape[0] - 1 - slice if turn.flips[0] else slice


def plain(name: str) -> str:
    """A name as part of a file's name."""
    kept = "".join(one if one.isalnum() or one in "-_.=" else "-" for one in name)
    return kept.strip("-.") or "map"


def _report(
    scan: Path,
    request: Request,
    explained: ExplainedScan,
    maps: Mapping[str, Any],
    withheld: Mapping[str, str],
    seconds: float,
) -> dict[str, Any]:
    network = request.network
    names = [network.name_of(index) for index in range(explained.probabilities.shape[1])]
    shown = [list(map(float, row)) for row in explained.probabilities]
    made = provenance(str(network.classifier.device), "local")
    return {
        "scan": scan.name,
        "network": {"file": network.place.name, "hash": network.hash, "takes": network.said},
        "classes": names,
        "explained_class": network.name_of(explained.explained_class),
        "slices": list(explained.slices),
        "probabilities": shown,
        "estimators": {spelled(one): repr(one) for one in request.estimators},
        "maps": maps,
        "withheld": dict(withheld),
        "left_out": explained.left_out,
        "notes": list(explained.notes),
        "seed": request.seed,
        "seconds": round(seconds, 2),
        "asked": request.known_by,
        "versions": made["versions"],
        "commit": made["commit"],
        "machine": made["machine"],
    }


def folders_of(scans: Sequence[Path], out: Path) -> list[tuple[Path, Path]]:
    """A folder for each scan, called as it is; of several called alike, numbered."""
    found, taken = [], dict[str, int]()
    for scan in scans:
        name = plain(scan.name.removesuffix(".gz").rsplit(".", 1)[0] if scan.is_file() else scan.name)
        taken[name] = taken.get(name, 0) + 1
        found.append((scan, out / (name if taken[name] == 1 else f"{name}-{taken[name]}")))
    return found
