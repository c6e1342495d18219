"""Region maps of a slice against PAIR's XRAI: all 16 maps, and one map alone; and of a volume, which PAIR has not."""

import time

import numpy as np
from saliency.core.xrai import XRAI, _get_segments_felzenszwalb

from side_by_side import in_turn, slice_of
from tomolens.cases import Preprocessing, phantom
from tomolens.regions import segment, xrai


def measure(size: int) -> None:
    """One size."""
    image = slice_of(size).image
    random = np.random.default_rng(0)
    maps = [random.standard_normal(image.shape) * (0.2 + image) for _ in range(16)]

    def ours(chosen: list[np.ndarray]) -> None:
        segments = segment(image)
        for one in chosen:
            xrai(image, one, segments=segments)

    def pairs() -> None:
        XRAI._xrai(maps[0][0], _get_segments_felzenszwalb(image[0].astype(np.float64)))

    # PAIR takes a map at a time and segments anew for each, so that 16 maps take 16 times as long as one.
    name = f"regions, {size} x {size}"
    in_turn(f"{name}: 16 maps against 16 times PAIR (at least 40)", lambda: ours(maps), pairs, 1, repeated=16)
    in_turn(f"{name}: one map against PAIR (at least 10)", lambda: ours(maps[:1]), pairs, 1)


def measure_volume(size: int) -> None:
    """16 maps of a volume with so many voxels along each side, on one core."""
    made = Preprocessing(size, (-1000.0, 400.0))
    case = phantom.cases(2, preprocessing=made, finding="nodule", dimensions=3)[1]
    random, spacing = np.random.default_rng(0), None if case.grid is None else case.grid.spacing
    maps = [random.standard_normal(case.image.shape) * (0.2 + case.image) for _ in range(16)]
    small = case.image[:, ::8, ::8, ::8]
    xrai(small, small, segments=segment(small))  # compiled
    began = time.perf_counter()
    segments = segment(case.image, spacing=spacing)
    segmented = time.perf_counter()
    for one in maps:
        xrai(case.image, one, segments=segments)
    ended = time.perf_counter()
    print(
        f"regions of a volume of {size} x {size} x {size}: {ended - began:.1f} s for 16 maps (under 30), of which "
        f"{segmented - began:.1f} s segment it; {len(segments)} segments",
        flush=True,
    )


if __name__ == "__main__":
    measure_volume(128)
    measure(128)
    measure(224)
    measure(512)
