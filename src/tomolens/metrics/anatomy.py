"""Where in the body a map lies: its shares in named structures, and in tissues told by their density."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..cases.tissue import BANDS
from ..declarations import OUTSIDE_THE_BODY, REST_OF_THE_BODY, Breakdown, Declaration, Output, Side
from .evaluand import Evaluand
from .metric import Metric, Reading

SIGNS = {"positive": 1.0, "negative": -1.0}
Parts = NDArray[np.intp]
"""The number of the part that each pixel is of, ``(pixels,)``: every pixel is of one."""


def shares_of(scores: NDArray[np.float64], parts: Parts, count: int) -> NDArray[np.float64]:
    """Share of what is above 0 that lies in each of ``count`` parts; NaN where nothing is.

    Relevance mass (Arras et al. 2020, arXiv 2003.07258), with every part of the image as the mask.
    """
    above = scores.clip(min=0)
    total = above.sum()
    return np.bincount(parts, above, count) / total if total > 0 else np.full(count, np.nan)


def in_structures(evaluand: Evaluand) -> Parts:
    """The study's structures, then the rest of the body, then what is outside of it."""
    assert evaluand.anatomy is not None
    count, numbers = len(evaluand.structures), np.asarray(evaluand.anatomy, dtype=np.intp)
    return np.where(numbers > 0, numbers - 1, np.where(evaluand.body, count, count + 1)).ravel()


def in_tissues(evaluand: Evaluand) -> Parts:
    """The bands of density within the body, then what is outside of it."""
    assert evaluand.tissue is not None
    return np.where(evaluand.body, evaluand.tissue.astype(np.intp), len(BANDS)).ravel()


def _measured(evaluand: Evaluand, name: str, parts: Parts, count: int) -> Iterator[Reading]:
    areas = np.bincount(parts, minlength=count) / parts.size
    for key, ranked in evaluand.rankings.items():
        for sign, factor in SIGNS.items():
            shares = shares_of(factor * ranked.scores, parts, count)
            yield key, f"{name}_{sign}", shares
            yield key, f"{name}_{sign}_area", np.where(np.isnan(shares), np.nan, areas)


def measure_anatomy(evaluand: Evaluand) -> Iterator[Reading]:
    """Share of each map's positive, and of its negative values in each structure, beside the structures' own areas."""
    yield from _measured(evaluand, "anatomy", in_structures(evaluand), len(evaluand.structures) + 2)


def measure_tissue(evaluand: Evaluand) -> Iterator[Reading]:
    """Share of each map's positive, and of its negative values in each band of density, beside the bands' own areas."""
    yield from _measured(evaluand, "tissue", in_tissues(evaluand), len(BANDS) + 1)


def _outputs(name: str) -> tuple[Output, ...]:
    """Curves whose points are parts of the image."""
    return tuple(
        Output(f"{name}_{sign}{end}", f"{sign} {words}", better=None, curve=True, intervals=True)
        for sign in SIGNS
        for end, words in (("", "share"), ("_area", "share of an even map"))
    )


def _sides(name: str) -> tuple[Side, ...]:
    return tuple(Side(sign, f"{name}_{sign}", f"{name}_{sign}_area") for sign in SIGNS)


READ = (
    "In brackets how many times the share is that of an even map, which has in each part the part's share of the "
    "image: above 1 the map prefers the part. Positive and negative values are told apart, each as shares of their own "
    "total."
)
ANATOMY = Metric(
    Declaration(
        "anatomy",
        _outputs("anatomy"),
        breakdown=Breakdown(
            "anatomy",
            (REST_OF_THE_BODY, OUTSIDE_THE_BODY),
            _sides("anatomy"),
            "Where the maps lie, by structure",
            f"How much of a map lies in each structure. {READ}",
            of_structures=True,
            rest=2,
        ),
    ),
    measure_anatomy,
    needs=frozenset({"anatomy"}),
)
TISSUE = Metric(
    Declaration(
        "tissue",
        _outputs("tissue"),
        breakdown=Breakdown(
            "tissue",
            (*(band.name for band in BANDS), OUTSIDE_THE_BODY),
            _sides("tissue"),
            "Where the maps lie, by density",
            "How much of a map lies in tissue of each density, told in Hounsfield units before the window cuts them "
            "off. Density cannot tell blood with contrast agent from spongy bone, and the rim of a lung reaches "
            f"through all densities down to that of fat. {READ}",
        ),
    ),
    measure_tissue,
    needs=frozenset({"tissue"}),
)
