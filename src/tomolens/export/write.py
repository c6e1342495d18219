"""All that is asked for of a scan, in one folder, with a report that says how it was made."""

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np

from ..cases.formats import IMAGE_SUFFIXES
from ..cases.geometry import Volume
from ..cases.places import suffix
from ..cases.pseudonyms import own_salt
from ..cases.stored import read_source
from ..errors import SettingsError, reason_of
from ..estimators.estimator import spelled
from ..progress import Progress, silent
from ..study.provenance import provenance
from .dicom import Sources, anonymous, find_sources, write_capture, write_parametric_map, write_segmentation
from .explain_scan import ExplainedScan, explain_scan
from .nifti import told, write_nifti
from .page import page
from .pictures import Picture, pictures
from .request import Request, plain
from .scan_map import NOT_ASSESSED, ScanMap

REPORT, PAGE = "explain.json", "maps.html"


def explain_into(folder: Path, scan: Path, request: Request, *, progress: Progress = silent) -> dict[str, Any]:
    """Explain a scan and write everything into a folder, or leave it as it is where it holds just that.

    All of it is written beside the folder first and put in its place at the end, so that nothing of an earlier or a
    broken-off run is taken for this one's.

    Returns:
        The report, with ``again`` where all was there already.

    Raises:
        TomolensError: see `explain_scan`; a folder that holds something else or cannot be written; DICOM files asked
            of another kind of scan, or of one that they cannot refer to.
    """
    began = time.perf_counter()
    if "dicom" in request.formats and suffix(scan) in IMAGE_SUFFIXES:
        raise SettingsError(f"{scan}: format 'dicom' is of DICOM scans, whose study the files belong to; take nifti")
    stored = read_source(scan, request.series)
    known = {**request.known_by, "scan": _hash_of(stored)}
    before = _report_of(folder)
    if before is not None and _is_whole(folder, before) and before.get("asked") == known:
        return {**before, "again": True}
    _require_ours(folder, before or {}, known["scan"])
    sources = _sources(scan, stored, request)
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
    try:
        with tempfile.TemporaryDirectory(prefix=".tomolens-", dir=folder.parent) as beside:
            made, old = Path(beside) / "made", Path(beside) / "old"
            made.mkdir()
            report = {**_all_written(made, scan, explained, sources, request), "asked": known}
            report["seconds"] = round(time.perf_counter() - began, 2)
            (made / REPORT).write_text(f"{json.dumps(report, indent=2, ensure_ascii=False)}\n", encoding="utf-8")
            _swap(made, folder, old)
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written ({reason_of(error)})") from error
    return report


def _swap(made: Path, folder: Path, old: Path) -> None:
    """Put a folder in the place of another, which comes back where that fails."""
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(made, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise


def _hash_of(stored: Volume) -> str:
    """By which a scan is known: its voxels and where they lie."""
    digest = hashlib.blake2b(np.ascontiguousarray(stored.hu).tobytes(), digest_size=16)
    digest.update(np.round(stored.grid.affine, 4).tobytes())
    return digest.hexdigest()


def _report_of(folder: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is_whole(folder: Path, report: Mapping[str, Any]) -> bool:
    """Whether every file that a report names is there, as long as it was."""
    sizes = report.get("files")
    if not isinstance(sizes, dict):
        return False
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())


def _require_ours(folder: Path, before: Mapping[str, Any], scan: str) -> None:
    """Refuse to write over what is not all of a report of this scan, and a place that cannot be written.

    Raises:
        SettingsError: naming the folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
        there = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise SettingsError(f"{folder} cannot be written ({reason_of(error)})") from error
    if folder.is_symlink() or folder.is_file():
        raise SettingsError(f"{folder} is a file or a link, expected a folder to write: give another --out")
    if not there:
        return
    asked, ours = before.get("asked"), before.get("files")
    if not isinstance(asked, dict) or not isinstance(ours, dict) or asked.get("scan") != scan:
        what = "maps of another scan" if asked else "something else"
        raise SettingsError(f"{folder} holds {what}: give another --out, or remove it")
    if others := sorted(there - ours.keys() - {REPORT}):
        raise SettingsError(f"{folder} holds {others[0]}, which is not of its maps: move it, or give another --out")


def _sources(scan: Path, stored: Volume, request: Request) -> Sources | None:
    """The DICOM images that files refer to, found before anything is explained."""
    if "dicom" not in request.formats:
        return None
    nothing = np.zeros(stored.hu.shape, np.float32)
    sources = find_sources(scan, ScanMap(nothing, stored.grid, nothing > 0, "", "", "", ""), request.series)
    return anonymous(sources, own_salt()) if request.anonymous else sources


def _all_written(
    folder: Path, scan: Path, explained: ExplainedScan, sources: Sources | None, request: Request
) -> dict[str, Any]:
    """Every file of a scan, and the report of it."""
    withheld: dict[str, str] = {}
    judged = dict(_judged(explained, request, withheld))
    written = {name: _written(folder, explained, one, sources, request) for name, one in judged.items()}
    if "html" in request.formats:
        text = page(request.called(scan), request.network, _hidden(scan, explained, request), list(judged.values()))
        (folder / PAGE).write_text(text, encoding="utf-8")
    maps = {name: {**told(one), "files": [file.name for file in written[name]]} for name, one in judged.items()}
    report = _report(request.called(scan), request, _hidden(scan, explained, request), maps, withheld)
    return {**report, "files": {file.name: file.stat().st_size for file in sorted(folder.iterdir())}}


def _hidden(scan: Path, explained: ExplainedScan, request: Request) -> ExplainedScan:
    """What came of a scan without the places of its files in any words."""

    def plainly(words: str) -> str:
        for place in (str(scan.resolve()), str(scan), scan.resolve().name, scan.name):
            if not place:
                continue  # of a folder that is called "."
            words = words.replace(place, request.called(scan))
        return words

    left_out = {plainly(what): plainly(why) for what, why in explained.left_out.items()}
    return replace(explained, left_out=left_out, notes=tuple(map(plainly, explained.notes)))


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


def _written(
    folder: Path, explained: ExplainedScan, scan_map: ScanMap, sources: Sources | None, request: Request
) -> list[Path]:
    stem, files = plain(scan_map.estimator), []
    if "nifti" in request.formats:
        write_nifti(scan_map, folder / f"{stem}.nii.gz")
        files += [folder / f"{stem}.nii.gz", folder / f"{stem}.json"]
    drawn = pictures(explained, scan_map, request.network.window) if {"png", "dicom"} & {*request.formats} else []
    for picture in drawn if "png" in request.formats else ():
        files.append(folder / f"{stem}-slice-{picture.slice:04d}.png")
        files[-1].write_bytes(picture.png)
    if sources is not None:
        by_region = explained.regions.get(scan_map.estimator)
        regions = None if by_region is None else replace(by_region, trust=f"{NOT_ASSESSED}: no study measured regions")
        files += _as_dicom(folder, sources, scan_map, regions, drawn, request.share)
    return files


def _as_dicom(
    folder: Path,
    sources: Sources,
    scan_map: ScanMap,
    regions: ScanMap | None,
    drawn: Sequence[Picture],
    share: float,
) -> list[Path]:
    """Parametric maps, segmentations of what is highest in the map and by region, and captures."""
    stem = plain(scan_map.estimator)
    files = [folder / f"{stem}-map.dcm", folder / f"{stem}-display.dcm"]
    for file, shown in zip(files, (False, True), strict=True):
        write_parametric_map(scan_map, sources, file, shown=shown)
    for one, kind in ((scan_map, "top"), (regions, "regions")):
        if one is not None and one.top(share).any():  # a map of 0, or of equal values, has no top
            files.append(folder / f"{stem}-{kind}.dcm")
            write_segmentation(one, sources, files[-1], share=share)
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


def _report(
    called: str, request: Request, explained: ExplainedScan, maps: Mapping[str, Any], withheld: Mapping[str, str]
) -> dict[str, Any]:
    network = request.network
    made = provenance(str(network.classifier.device), "local")
    return {
        "scan": called,
        "network": {"file": network.place.name, "hash": network.hash, "label": network.label, "takes": network.said},
        "classes": [network.name_of(index) for index in range(explained.probabilities.shape[1])],
        "prediction": explained.prediction,
        "explained_class": network.name_of(explained.explained_class),
        "slices": list(explained.slices),
        "probabilities": [list(map(float, row)) for row in explained.probabilities],
        "estimators": {spelled(one): repr(one) for one in request.estimators},
        "maps": maps,
        "withheld": dict(withheld),
        "left_out": explained.left_out,
        "notes": list(explained.notes),
        "seed": request.seed,
        "versions": made["versions"],
        "commit": made["commit"],
        "machine": made["machine"],
    }
