"""ROC, average precision and overlap of 16 maps from one sort each, against scikit-learn's calls."""

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score, roc_curve

from side_by_side import in_turn, slice_of
from tomolens.metrics.overlap import region_overlap
from tomolens.metrics.ranked import rank_map
from tomolens.metrics.roc import roc_of_map


def measure(size: int) -> None:
    """One size."""
    case = slice_of(size)
    mask = case.mask
    random = np.random.default_rng(0)
    maps = [random.standard_normal(case.image.shape) + mask for _ in range(16)]

    def ours() -> None:
        for one in maps:
            roc_of_map(rank_map(one), mask, 101)
            region_overlap(one[0], mask)

    def scikit_learn() -> None:
        truth = mask.ravel()
        for one in maps[:4]:
            scores = one.ravel()
            roc_auc_score(truth, scores)
            average_precision_score(truth, scores)
            roc_curve(truth, scores)
            for percent in range(1, 101):
                f1_score(truth, scores >= np.percentile(scores, 100 - percent))

    name = f"ROC, average precision and overlap, {size} x {size}, 16 maps"
    in_turn(f"{name}: ours against 4 times scikit-learn on 4 of them (at least 10)", ours, scikit_learn, 1, repeated=4)


if __name__ == "__main__":
    measure(128)
    measure(224)
    measure(512)
