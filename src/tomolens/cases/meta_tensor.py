"""Where the pixels of a MONAI `MetaTensor` lie, as far as its affine says it."""

from typing import Any

import numpy as np

from ..errors import CaseError
from .geometry import Affine, Turn, check_affine, shear_in_words
from .geometry import Grid as VoxelGrid
from .grid import Grid

TO_LPS = {"RAS": np.diag([-1.0, -1.0, 1.0, 1.0]), "LPS": np.eye(4)}
"""From a tensor's patient coordinates, by their name, to DICOM's."""
FLATTEST = 1e-3
"""Volume between three directions of length 1."""
AS_IT_IS = Turn((0, 1, 2), (False, False, False))


def grid_of_meta_tensor(image: Any, spatial: tuple[int, ...]) -> tuple[Grid | None, tuple[str, ...]]:
    """The grid of an image ``(C, *spatial)``, and what must be said of it.

    The grid's source is the tensor itself, whose axes are the case's in their order, wherever they lead. In two
    dimensions the third column of the affine is the step to the next slice, and the slice is the first.

    Returns:
        None for a tensor that knows of no place: one without an affine, or with MONAI's default. None and a note where
        the affine does not tell the place, or is none that a scan may have.
    """
    affine = _known_affine(image)
    if affine is None:
        return None, ()
    try:
        voxels = _voxels(image, affine, spatial)
    except CaseError as error:
        return None, (f"where its pixels lie is not known: {error}",)
    return Grid(spatial, voxels, AS_IT_IS, 0 if len(spatial) == 2 else None), shear_in_words(voxels.upright().affine)


def _known_affine(image: Any) -> Affine | None:
    """The affine of a tensor that was read from a file, or was given one; MONAI makes it that of unity otherwise."""
    meta, affine = getattr(image, "meta", None), getattr(image, "affine", None)
    if not isinstance(meta, dict) or affine is None:
        return None
    known: Affine = np.asarray(affine.detach().cpu() if hasattr(affine, "detach") else affine, dtype=np.float64)
    told = "original_affine" in meta or known.shape != (4, 4) or not np.array_equal(known, np.eye(4))
    return known if told else None


def _voxels(image: Any, affine: Affine, spatial: tuple[int, ...]) -> VoxelGrid:
    space = str(getattr(image.meta.get("space", "RAS"), "value", image.meta.get("space", "RAS")))
    if space not in TO_LPS:
        raise CaseError(f"its affine is in the coordinates {space}, expected RAS or LPS")
    if affine.shape != (4, 4):
        size = " x ".join(map(str, affine.shape))
        raise CaseError(f"its affine is {size}, which places a plane but not the plane in the patient")
    if not np.array_equal(affine[3], [0.0, 0.0, 0.0, 1.0]):
        raise CaseError(f"the last row of its affine is {affine[3].tolist()}, expected 0, 0, 0, 1")
    lps: Affine = TO_LPS[space] @ affine
    if len(spatial) == 2:
        _require_one_slice(image)
        lps = lps[:, [2, 0, 1, 3]]
    steps = np.linalg.norm(lps[:3, :3], axis=0)
    if not np.isfinite(lps).all() or steps.min() == 0 or abs(np.linalg.det(lps[:3, :3] / steps)) < FLATTEST:
        raise CaseError("its affine spans no volume")
    low, middle, high = (1, *spatial)[-3:]
    voxels = VoxelGrid((low, middle, high), lps)
    check_affine(voxels.upright().affine)
    return voxels


def _require_one_slice(image: Any) -> None:
    """A slice that was taken out of a volume by its index keeps the affine of the volume, of the first slice then."""
    stored = tuple(int(length) for length in np.ravel(image.meta.get("spatial_shape", ())))
    if len(stored) > 2 and stored[2] != 1:
        size = " x ".join(map(str, stored))
        raise CaseError(f"it is of a volume of {size}, and its affine does not say which slice")
