"""LNDb as its challenge lays it out: ``LNDb-nnnn.mhd``, ``masks/LNDb-nnnn_radk.mhd``, ``trainset_csv/*.csv``."""

import re
from collections import Counter, defaultdict
from pathlib import Path

from ...errors import CaseError
from ..case import CONTRAST_CLASSES
from ..formats import read_grid
from ..places import Unusable, files_of
from ..tables import read_rows
from .dicom_tree import IndexOptions
from .index import Index, Plane, Scan, left_whole

_SCAN = re.compile(r"LNDb-(\d{4})\.mhd", re.IGNORECASE)
_MASK = re.compile(r"LNDb-(\d{4})_rad(\d+)\.mhd", re.IGNORECASE)
CONSENSUS = 1
"""Most scans were read by one or two radiologists."""


def index_lndb(root: Path, options: IndexOptions | None = None) -> Index:
    """Scans of LNDb with the nodules that its radiologists segmented as masks; each scan is a patient.

    The collection does not say which scans have contrast agent: labels come from a CSV, by ``patient``
    (``LNDb-0001``), ``scan`` or ``image``.

    Raises:
        CaseError: no such folder, no labels, or with ``on_error = "stop"`` the first unreadable file.
    """
    options = options or IndexOptions()
    labels = options.read_labels()
    if labels is None:
        raise CaseError(
            f"{root}: LNDb does not say which scans have contrast agent: give a CSV with the columns patient "
            "(LNDb-0001, ...) and label (--labels)"
        )
    scans, masks, unusable = _files(root)
    left_out: Counter[str] = Counter()
    made = []
    for done, (number, path) in enumerate(sorted(scans.items()), start=1):
        name = f"LNDb-{number}"
        patient = options.rename()(name)
        label = labels.find({"patient": patient, "scan": name, "image": str(path.resolve())})
        options.progress("reading headers", done, len(scans))
        if label is None:
            left_out[f"scans without a label in {labels.source.name}"] += 1
            continue
        try:
            grid = read_grid(path).upright()
        except CaseError as error:
            if options.on_error == "stop":
                raise
            unusable.append(Unusable(path, str(error).removeprefix(f"{path}: ")))
            continue
        readers = tuple(sorted(masks[number])) if options.with_masks else ()
        planes = tuple(Plane(str(path), label, grid.slab(k).position, k, readers) for k in range(grid.shape[0]))
        made.append(Scan(name, patient, planes, options.consensus or CONSENSUS))
    listed = _listed(root)
    missing = len(listed - set(scans))
    if missing:
        left_out["scans of trainCTs.csv that are not here"] += missing
    return Index(
        options.choose(made),
        options.classes or CONTRAST_CLASSES,
        labels.rule,
        {},
        {**left_out, **left_whole(made, options.slices)},
        tuple(unusable),
    )


def _files(root: Path) -> tuple[dict[str, Path], dict[str, list[str]], list[Unusable]]:
    """Scans and masks by number; data lie in ``data0`` to ``data5`` or all in one folder."""
    scans: dict[str, Path] = {}
    masks: dict[str, list[str]] = defaultdict(list)
    unusable: list[Unusable] = []
    for file in files_of(root):
        if isinstance(file, Unusable):
            unusable.append(file)
        elif scan := _SCAN.fullmatch(file.path.name):
            scans[scan[1]] = file.path
        elif mask := _MASK.fullmatch(file.path.name):
            masks[mask[1]].append(str(file.path))
    return scans, masks, unusable


def _listed(root: Path) -> set[str]:
    """Numbers of the scans that the collection's own list names, where it is here."""
    table = root / "trainset_csv" / "trainCTs.csv"
    if not table.is_file():
        return set()
    return {f"{int(float(row['lndbid'])):04d}" for _, row in read_rows(table, ["lndbid"]) if row["lndbid"]}
