"""Slices and series of TCGA-LUAD and TCGA-LUSC, joined with this project's own reference masks."""

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

from .dicom_tree import DicomScans, IndexOptions
from .index import Index, Scan

MASKS = Path(str(resources.files("tomolens.cases.sources").joinpath("tcga-contrast-masks.json")))
"""Polygons of heart and vessels on public TCGA slices, drawn for this project by hand (CC0)."""


def index_tcga(root: Path, options: IndexOptions | None = None) -> Index:
    """CT slices and series below ``root``; slices that the reference masks know, by SOP Instance UID, carry them.

    A copy of the masks is written beside the index. `ContrastBolusAgent` is filled for few slices of these
    collections: give labels in a CSV.

    Raises:
        CaseError: no such folder; with ``on_error = "stop"`` the first unreadable file.
    """
    options = options or IndexOptions()
    tree = options.read_tree(root)
    found = DicomScans.of(tree, options)
    polygons = MASKS.read_text(encoding="utf-8")
    known = set(json.loads(polygons)["slices"]) if options.with_masks else set()
    drawn = {header.place for header in tree.headers if header.instance in known}
    return found.index([_masked(found.scan(series), drawn) for series in found.series], {str(MASKS): polygons})


def _masked(scan: Scan | None, drawn: set[str]) -> Scan | None:
    if scan is None:
        return None
    masks = {True: (str(MASKS),), False: ()}
    return replace(scan, planes=tuple(replace(plane, mask=masks[plane.place in drawn]) for plane in scan.planes))
