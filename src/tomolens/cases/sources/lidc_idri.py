"""LIDC-IDRI as The Cancer Imaging Archive lays it out: patient, study, series, and XML files of readings."""

from collections import defaultdict
from pathlib import Path

from ...errors import CaseError
from ..masks.lidc import read_readings
from ..places import Unusable
from .dicom_tree import DicomScans, IndexOptions
from .index import Index

CONSENSUS = 2
"""Readers of four that must agree, unless the options say otherwise."""


def index_lidc_idri(root: Path, options: IndexOptions | None = None) -> Index:
    """CT series with their nodules, outlined by up to four readers, as masks.

    XML files of readings are found anywhere below ``root`` and joined by the series they name. Scans of one patient
    share a pseudonym. Chest radiographs and other objects of the collection are left out with a word.

    Raises:
        CaseError: no such folder; with ``on_error = "stop"`` the first unreadable file.
    """
    options = options or IndexOptions()
    tree = options.read_tree(root)
    found = DicomScans.of(tree, options)
    readings: dict[str, list[str]] = defaultdict(list)
    for path in tree.others:
        if path.suffix.lower() != ".xml" or not options.with_masks:
            continue
        try:
            read = read_readings(path)
        except CaseError as error:
            if options.on_error == "stop":
                raise
            found.unusable.append(Unusable(path, str(error).removeprefix(f"{path}: ")))
            continue
        if read is None:
            found.left_out["XML files that are no CT readings"] += 1
        else:
            readings[read.series].append(str(path))
    consensus = options.consensus or CONSENSUS
    scans = [found.scan(one, mask=readings.get(one.uid, ())[:1], consensus=consensus) for one in found.series]
    unread = len(set(readings) - {series.uid for series in found.series})
    if unread:
        found.left_out["readings of series that are not here"] += unread
    return found.index(scans)
