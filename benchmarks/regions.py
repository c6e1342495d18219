"""Region maps of a slice against PAIR's XRAI: all 16 maps, and one map alone."""

import numpy as np
from saliency.core.xrai import XRAI, _get_segments_felzenszwalb

from side_by_side import in_turn, slice_of
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

    def pairs(chosen: list[np.ndarray]) -> None:
        for one in chosen:  # the tool is called a map at a time and segments anew for each
            XRAI._xrai(one[0], _get_segments_felzenszwalb(image[0].astype(np.float64)))

    in_turn(f"regions, {size} x {size}: 16 maps against PAIR (at least 40)", lambda: ours(maps), lambda: pairs(maps), 1)
    in_turn(
        f"regions, {size} x {size}: one map against PAIR (at least 10)",
        lambda: ours(maps[:1]),
        lambda: pairs(maps[:1]),
        1,
    )


if __name__ == "__main__":
    measure(128)
    measure(224)
    measure(512)
