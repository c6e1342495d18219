"""Maps as NIfTI, which 3D Slicer, ITK-SNAP and NiiVue lay over the scan."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from ..errors import SettingsError
from .scan_map import RESEARCH, ScanMap

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI counts to the right and to the front, where DICOM counts to the left and to the back."""


def write_nifti(scan_map: ScanMap, file: str | Path) -> None:
    """Write a map, float32 and signed, with the scan's own affine, and beside it a JSON of all that goes with it.

    Args:
        scan_map: the map.
        file: to write, ``.nii`` or ``.nii.gz``; the JSON has the same name.

    Raises:
        SettingsError: another ending, or a place that cannot be written.

    Example:
        >>> write_nifti(explained.maps["backpropagation"], "map.nii.gz")   # doctest: +SKIP
    """
    place = Path(file)
    stem = place.name.removesuffix(".gz").removesuffix(".nii")
    if not place.name.endswith((".nii", ".nii.gz")):
        raise SettingsError(f"{place}: expected a file that ends in .nii or .nii.gz")
    affine = TO_RAS @ scan_map.grid.affine[:, [2, 1, 0, 3]]
    image = nib.Nifti1Image(scan_map.values.transpose(2, 1, 0), affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"{scan_map.estimator}: {RESEARCH}".encode()[:79]
    # Of the scanner's own space: what lies on the scan lies on it here.
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        nib.save(image, place)
        sidecar = json.dumps(told(scan_map), indent=2, ensure_ascii=False)
        (place.parent / f"{stem}.json").write_text(f"{sidecar}\n", encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{place}: cannot be written ({error.strerror})") from error


def told(scan_map: ScanMap) -> Mapping[str, Any]:
    """What must go with a map wherever it goes."""
    values = scan_map.values[scan_map.explained]
    return {
        "estimator": scan_map.estimator,
        "title": scan_map.title,
        "explained_class": scan_map.explained_class,
        "prediction": scan_map.prediction,
        "trust": scan_map.trust,
        "units": f"importance: {scan_map.meaning}",
        "range": [float(values.min(initial=0.0)), float(values.max(initial=0.0))],
        "shape": list(scan_map.grid.shape),
        "affine_lps_of_slice_row_column": scan_map.grid.affine.tolist(),
        "use": RESEARCH,
    }
