"""Other trainings of the network: how much another one would change each number, beside what other patients would."""

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from ..declarations import Output
from ..results.rows import NETWORK
from .bootstrap import Resampling
from .measured import Key, Measured, Values
from .tables import MAP, keys_of, means_table

OWN = ""
"""In place of the name of another training."""


def trainings_table(
    measured: Measured, outputs: Sequence[Output], architectures: Collection[str], resampling: Resampling
) -> pd.DataFrame:
    """Each number of each map by the study's own network and by those of other trainings; empty where there are none.

    All are of the ``cases`` in which every network that has the map at all has the number. ``between_networks`` is the
    standard deviation over the ``trainings`` that differ in their seed alone, the study's own among them (n - 1 in the
    denominator), and ``between_patients`` the standard error over the patients, from the width of the interval of the
    study's own; ``lowest`` and ``highest`` are over all ``networks``, of other architectures too.

    Args:
        measured: the estimators' maps.
        outputs: numbers of the study's metrics.
        architectures: names of the networks of another one.
        resampling: of the patients.
    """
    others = {option: numbers for (choice, option), numbers in measured.varied.items() if choice == NETWORK}
    rows = []
    for output in outputs:
        by = {name: numbers[output.name] for name, numbers in others.items() if output.name in numbers}
        if not by or output.name not in measured.numbers:
            continue
        tables = _means(measured, output, {OWN: measured.numbers[output.name], **by}, resampling)
        for key, own in tables[OWN].items():
            values = {name: float(table[key]["value"]) for name, table in tables.items() if key in table}
            if len(values) > 1:
                rows.append({**_row(output, key, own, values, architectures, resampling), **_named(values, others)})
    return pd.DataFrame(rows)


def _means(
    measured: Measured, output: Output, numbers: dict[str, Values], resampling: Resampling
) -> dict[str, dict[Key, pd.Series]]:
    """Of each network the means of the maps that it has, in the cases in which all of them have a number."""
    there = {name: ~np.isnan(one) for name, one in numbers.items()}
    common = np.logical_and.reduce([one | ~one.any(axis=0) for one in there.values()])
    found = {}
    for name, one in numbers.items():
        table = means_table(measured, output, resampling, np.where(common, one, np.nan))
        rows = [row for _, row in table.iterrows()]
        found[name] = dict(zip(keys_of(table), rows, strict=True))
    return found


def _row(
    output: Output,
    key: Key,
    own: pd.Series,
    values: dict[str, float],
    architectures: Collection[str],
    resampling: Resampling,
) -> dict[str, object]:
    same = [value for name, value in values.items() if name not in architectures]
    width = 2 * norm.ppf((1 + resampling.confidence) / 2)
    return {
        "output": output.column,
        **dict(zip(MAP, key, strict=True)),
        "value": own["value"],
        "between_networks": float(np.std(same, ddof=1)) if len(same) > 1 else float("nan"),
        "between_patients": float(own["ci_high"] - own["ci_low"]) / width,
        "lowest": min(values.values()),
        "highest": max(values.values()),
        "trainings": len(same),
        "networks": len(values),
        "cases": own["cases"],
        "patients": own["patients"],
    }


def _named(values: dict[str, float], others: Collection[str]) -> dict[str, float]:
    return {f"by {name}": values.get(name, float("nan")) for name in others}
