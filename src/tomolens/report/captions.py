"""Captions of the figures, to stand below them in a paper."""

from collections.abc import Sequence
from pathlib import Path

CAPTIONS = {
    "perturbation": (
        "Accuracy while the pixels of the images are masked, averaged over the classes. For each "
        "estimator the most important pixels first and the least important first, for maps as they are and for their "
        "absolute values; the area between the two curves is the fidelity F."
    ),
    "roc": (
        "ROC curves of the importance scores against the expert's masks, averaged over the images at each quantile; "
        "the mean of the exact areas by image in the legend."
    ),
    "dice": (
        "Dice coefficient of the top p % of the region maps (XRAI) and the expert's masks against p; Dice at the "
        "mask's own share of the image in the legend."
    ),
    "views": (
        "Every map by the model's view (fidelity) and by the expert's; bars are bootstrap intervals over patients, "
        "dashed lines the best blind baselines."
    ),
    "ranks": (
        "Mean ranks over the patients; maps that a bar joins are not told apart (Friedman's test with Nemenyi's "
        "critical difference)."
    ),
    "choices": (
        "Rank of each estimator's absolute map by each view when one choice is changed and all others stay; the "
        "study's own in black."
    ),
    "maps": (
        "Importance maps of one case, as they are (red speaks for the explained class, blue against it) and absolute; "
        "colours end at the 99th percentile of the absolute map."
    ),
    "regions": (
        "The top 1 to 5 % of the region map (XRAI) of each estimator over the image, with the outline of the expert's "
        "mask."
    ),
}


def caption(figure: str) -> str:
    """The caption of a figure by its name: ``roc``, ``ranks-auc``, ``example-2-maps``."""
    words = figure.split("-")
    return CAPTIONS[words[-1] if words[0] == "example" else words[0]]


def write_captions(file: Path, figures: Sequence[str]) -> None:
    """All captions beside the figures."""
    file.write_text("".join(f"**{figure}.pdf** {caption(figure)}\n\n" for figure in figures), encoding="utf-8")
