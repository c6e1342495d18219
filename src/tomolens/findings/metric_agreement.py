"""Metrics against metrics: whether what a study measures ranks the maps alike, and which measures say the same.

No score is made of several: measures disagree (Klein et al. 2024, arXiv 2409.16756), and which of them is right is told
by their controls, not by their number.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform
from scipy.stats import kendalltau

from ..declarations import Output
from .measured import Key
from .tables import keys_of

FEWEST_MAPS = 6
"""With fewer maps in common two measures are not compared: of 5, one order in 60 is the same or reversed by chance."""
SAME = 1e-5
"""Values that differ by less than this share of the largest are tied: sums of float32 differ by about as much."""
ALIKE = 0.5
"""Mean tau from which on measures are of one cluster."""


def metrics_table(outputs: Sequence[Output], means: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Kendall's tau-b between the rankings of the maps by each two measures of which one end is good.

    A row for each pair, ``tau`` above 0 where what is better by one is better by the other, NaN where they have too few
    maps in common or one ranks all alike; ``maps`` that were compared. ``place_`` is where a measure stands when like
    ones stand together, and ``cluster_`` its number: average linkage on 1 - tau, cut at `ALIKE`. Maps that lack too
    many cases of a measure are not compared by it.

    Args:
        outputs: of all metrics.
        means: of each, by its name.
    """
    values = {
        output.name: (output, found)
        for output in outputs
        if output.better is not None and len(found := _values(output, means.get(output.name, pd.DataFrame())))
    }
    if len(values) < 2:
        return pd.DataFrame()
    pairs = {(one, other): _tau(values[one][1], values[other][1]) for one, other in combinations(values, 2)}
    places, clusters = _clustered(list(values), {pair: tau for pair, (tau, _) in pairs.items()})
    rows = [
        {
            "first": values[one][0].column,
            "second": values[other][0].column,
            "tau": tau,
            "maps": maps,
            "place_first": places[one],
            "place_second": places[other],
            "cluster_first": clusters[one],
            "cluster_second": clusters[other],
        }
        for (one, other), (tau, maps) in pairs.items()
    ]
    return pd.DataFrame(rows)


def _values(output: Output, table: pd.DataFrame) -> dict[Key, float]:
    """Of each map, larger where it is better."""
    if table.empty:
        return {}
    chosen = table[~table["partial"].astype(bool) & table["value"].notna()]
    return dict(zip(keys_of(chosen), output.sign * chosen["value"], strict=True))


def _tau(one: Mapping[Key, float], other: Mapping[Key, float]) -> tuple[float, int]:
    shared = [key for key in one if key in other]
    if len(shared) < FEWEST_MAPS:
        return float("nan"), len(shared)
    return float(kendalltau(*(_tied([values[key] for key in shared]) for values in (one, other))).statistic), len(
        shared
    )


def _tied(values: Sequence[float]) -> NDArray[np.float64]:
    numbers = np.array(values)
    step = SAME * np.abs(numbers).max()
    return np.round(numbers / step) if step > 0 else numbers


def _clustered(names: Sequence[str], taus: Mapping[tuple[str, str], float]) -> tuple[dict[str, int], dict[str, int]]:
    """Place and cluster of each measure, from 1; what cannot be compared counts as unrelated."""
    apart = np.zeros((len(names), len(names)))
    for (one, other), tau in taus.items():
        first, second = names.index(one), names.index(other)
        apart[first, second] = apart[second, first] = 1.0 if np.isnan(tau) else 1.0 - tau
    tree = linkage(squareform(apart, checks=False), "average")
    order, clusters = leaves_list(tree), fcluster(tree, 1 - ALIKE, "distance")
    numbers = {old: new for new, old in enumerate(dict.fromkeys(clusters[order].tolist()), start=1)}
    places = {names[which]: place for place, which in enumerate(order.tolist(), start=1)}
    return places, {name: numbers[cluster] for name, cluster in zip(names, clusters.tolist(), strict=True)}
