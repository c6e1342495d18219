"""DICOM segmentations (SEG), read with highdicom."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from ...errors import CaseError, reason_of
from ..dicom.pixels import check_claim
from ..geometry import Grid
from .layer import Layer, Wanted


def read_segmentation(path: Path, dataset: Dataset, wanted: Wanted) -> list[Layer]:
    """The segments of a SEG; probabilities count from one half on.

    Raises:
        CaseError: damaged, or none of the wanted segments.
    """
    import highdicom

    try:
        check_claim(dataset)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            segmentation: Any = highdicom.seg.Segmentation.from_dataset(dataset, copy=False)
            names = {int(item.SegmentNumber): str(item.SegmentLabel) for item in segmentation.SegmentSequence}
            wanted.check(names.values())
            numbers = [number for number, name in names.items() if name in wanted]
            volume = segmentation.get_volume(
                segment_numbers=numbers, combine_segments=False, allow_missing_positions=True
            )
        masks = np.asarray(volume.array) >= 0.5
        slices, rows, columns = masks.shape[:3]
        grid = Grid((slices, rows, columns), np.asarray(volume.affine, dtype=np.float64))
    except CaseError as error:
        raise CaseError(f"{path}: {error}") from error
    except Exception as error:  # highdicom checks little of what it reads
        raise CaseError(f"{path}: unreadable SEG ({reason_of(error)})") from error
    return [Layer(names[number], masks[..., place], grid, is_sparse=True) for place, number in enumerate(numbers)]
