"""Strata: the same numbers by label, by right and wrong predictions, by size of the mask, and by patient."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..declarations import Output
from ..results.rows import MASK_SHARE
from .bootstrap import Resampling
from .measured import Measured
from .tables import by_view, class_columns, values_table

SIZES = ("small", "middle", "large")
"""Thirds of the usable masks by their share of the image."""


def strata_table(measured: Measured, views: Sequence[Output], resampling: Resampling) -> pd.DataFrame:
    """Every view of every map in each stratum that holds some but not all of the cases."""
    parts = []
    for stratum, value, chosen in strata(measured):
        if chosen.any() and not chosen.all():
            table = values_table(measured.of_cases(chosen), views, resampling)
            table = table.drop(columns=class_columns(table))
            table.insert(0, "stratum", stratum)
            table.insert(1, "of", value)
            parts.append(table)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def strata(measured: Measured) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """Name, value and members of each stratum; labels are numbers."""
    cases = measured.cases
    labels, predicted = cases["label"].to_numpy(), cases["predicted"].to_numpy(dtype=np.int64)
    for label in np.unique(labels):
        yield "label", str(label), labels == label
    yield "prediction", "correct", predicted == labels
    yield "prediction", "wrong", predicted != labels
    shares = measured.of_network.get(MASK_SHARE, np.full(len(cases), np.nan))
    usable = shares[~np.isnan(shares)]
    if len(usable) < len(SIZES):
        return
    ends = np.quantile(usable, [1 / 3, 2 / 3])
    third = np.where(np.isnan(shares), -1, np.searchsorted(ends, shares, side="left"))
    for place, name in enumerate(SIZES):
        yield "mask size", name, third == place


def patients_table(measured: Measured, views: Sequence[Output]) -> pd.DataFrame:
    """Mean of each view of each map over the cases of each patient."""
    numbers, names = pd.factorize(measured.cases["patient"])
    tables = {}
    for view in views:
        if view.name not in measured.numbers:
            continue
        values = measured.numbers[view.name]
        defined = ~np.isnan(values)
        counts = _by_patient(defined.astype(np.float64), numbers)
        with np.errstate(invalid="ignore"):
            means = _by_patient(np.where(defined, values, 0.0), numbers) / counts
        patient, which = np.nonzero(counts)
        tables[view.judges.name] = pd.DataFrame(
            {
                "patient": names[patient],
                "estimator": np.array([estimator for estimator, _ in measured.maps], dtype=object)[which],
                "form": np.array([form for _, form in measured.maps], dtype=object)[which],
                "value": means[patient, which],
                "cases": counts[patient, which].astype(np.int64),
            }
        )
    return by_view(tables)


def _by_patient(values: NDArray[np.float64], numbers: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([np.bincount(numbers, column) for column in values.T], axis=1)
