"""Other trainings of the network: how much another one would change each number, beside what other patients would."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import norm

from ..declarations import Output
from ..results.rows import NETWORK
from .bootstrap import Resampling
from .measured import Key, Measured
from .tables import MAP, keys_of, means_table


def trainings_table(
    measured: Measured,
    outputs: Sequence[Output],
    means: Mapping[str, pd.DataFrame],
    architectures: Collection[str],
    resampling: Resampling,
) -> pd.DataFrame:
    """Each number of each map by the study's own network and by those of other trainings; empty where there are none.

    ``between_networks`` is the standard deviation over the trainings that differ in their seed alone, the study's own
    among them (n - 1 in the denominator), and ``between_patients`` the standard error over the patients, from the width
    of the interval of the study's own; ``lowest`` and ``highest`` are over all networks, of other architectures too.

    Args:
        measured: the estimators' maps.
        outputs: numbers of the study's metrics.
        means: of the study's own network, by the name of the output.
        architectures: names of the networks of another one.
        resampling: of the patients.
    """
    others = {option: numbers for (choice, option), numbers in measured.varied.items() if choice == NETWORK}
    rows = []
    for output in outputs:
        by = {name: numbers[output.name] for name, numbers in others.items() if output.name in numbers}
        values = {name: _values(means_table(measured, output, resampling, numbers)) for name, numbers in by.items()}
        own = means.get(output.name, pd.DataFrame())
        for key, (_, row) in zip(keys_of(own), own.iterrows(), strict=True) if values else ():
            anew = {name: one[key] for name, one in values.items() if key in one}
            if not anew:
                continue
            same = [float(row["value"]), *(value for name, value in anew.items() if name not in architectures)]
            every = [float(row["value"]), *anew.values()]
            width = 2 * norm.ppf((1 + resampling.confidence) / 2)
            rows.append(
                {
                    "output": output.column,
                    **dict(zip(MAP, key, strict=True)),
                    "value": row["value"],
                    "between_networks": np.std(same, ddof=1) if len(same) > 1 else float("nan"),
                    "between_patients": (row["ci_high"] - row["ci_low"]) / width,
                    "lowest": min(every),
                    "highest": max(every),
                    "networks": len(every),
                    **{f"by {name}": anew.get(name, float("nan")) for name in others},
                }
            )
    return pd.DataFrame(rows)


def _values(table: pd.DataFrame) -> dict[Key, float]:
    return dict(zip(keys_of(table), table["value"], strict=True)) if len(table) else {}
