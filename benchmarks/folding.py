"""What `precision = "auto"` changes over every case of a manifest: the order of pixels, decisions, and tables.

    python benchmarks/folding.py cases.csv network.safetensors [STEPS]

Maps of the folded network against those of the network as it is, and of both against the same in 64 bits, which tells
what is rounding anyway. Then the same study twice with a given network: gradients of the folded one and quick, sparing
decisions; and the network as it is for everything.
"""

import copy
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from scipy.stats import spearmanr

from tomolens.api import Study
from tomolens.cases import Preprocessing, from_manifest
from tomolens.classifier import Classifier
from tomolens.classifier.weights import load_weights
from tomolens.estimators import explain
from tomolens.findings import Findings
from tomolens.study.settings import StudySettings

EXPLAINED = ("backpropagation", "integrated-gradients", "integrated-gradients-bw", "smoothgrad-squared")
PAIRS = ("plain and folded", "plain and in 64 bits", "folded and in 64 bits")
TABLES = {"fidelity": "fidelity", "auc": "roc", "average_precision": "roc", "dice": "overlap"}


def run(manifest: str, weights: str, precision: str, steps: int, folder: Path) -> Findings:
    """One of the two studies."""
    _, notes = load_weights(Path(weights))
    settings = StudySettings.model_validate(
        {
            "name": precision,
            "precision": precision,
            "gallery": 0,
            "examples": 0,
            "batch_size": 16,
            "cases": {"source": "manifest", "size": int(str(notes["size"]))},
            "metrics": {"names": ["fidelity", "roc", "overlap"], "steps": steps},
        }
    )
    return Study.of(settings, manifest, weights).run(folder)


def correlations(manifest: str, weights: str) -> None:
    """Print how maps of the folded network order the pixels, of the plain one and of the same in 64 bits."""
    plain, notes = load_weights(Path(weights))
    cases = from_manifest(manifest, Preprocessing(int(str(notes["size"]))))
    wide = Classifier(copy.deepcopy(plain.network).double(), plain.output)
    folded = plain.with_folded(torch.from_numpy(cases[0].image)[None])
    found: dict[tuple[str, str], list[list[float]]] = {}
    for case in cases:
        image = torch.from_numpy(case.image)[None]
        target = [int(plain.predict(image)[0])]
        maps = [
            explain(one, shown, list(EXPLAINED), target, names=[case.name], batch_size=16)
            for one, shown in ((plain, image), (folded, image), (wide, image.double()))
        ]
        for name in EXPLAINED:
            for form, of in (("original", np.asarray), ("absolute", np.abs)):
                first, second, third = (of(one[name].double().numpy().ravel()) for one in maps)
                pairs = ((first, second), (first, third), (second, third))
                both = [float(spearmanr(*pair).statistic) for pair in pairs]
                found.setdefault((name, form), []).append(both)
    for (name, form), several in found.items():
        least, median = np.min(several, axis=0), np.median(several, axis=0)
        told = ", ".join(
            f"{pair} {low:.5f} or more, median {middle:.5f}"
            for pair, low, middle in zip(PAIRS, least, median, strict=True)
        )
        print(f"rank correlation, {name}, {form}, {len(several)} maps: {told}", flush=True)


def points_of(folder: Path) -> pd.Series:
    """Whether the network was right at every point of both curves of every map, by case and point."""
    rows = pq.read_table(folder / "measurements").to_pandas()
    curves = rows[rows["metric"].isin(["most_important_first", "least_important_first"])]
    every = curves.explode("curve")
    keys = ["case", "estimator", "form", "metric"]
    every["point"] = every.groupby(keys).cumcount()
    return every.set_index([*keys, "point"])["curve"].astype(float).sort_index()


def main() -> None:
    """Print what differs."""
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 40
    correlations(*sys.argv[1:3])
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place) / precision for precision in ("fp32", "auto")]
        plain, quick = (run(*sys.argv[1:3], folder.name, steps, folder) for folder in folders)
        first, second = (points_of(folder) for folder in folders)
        moved = (first != second.loc[first.index]).sum()
        print(f"{moved} of {len(first)} points of the curves of cases differ")
    for number, table in TABLES.items():
        one, other = plain.table(table), quick.table(table)
        half = (one["ci_high"] - one["ci_low"]) / 2
        shares = ((one[number] - other[number]).abs() / half).fillna(0.0)
        print(f"{number}: {len(one)} numbers, moved by {shares.max():.4f} of the half-width of their interval at most")


if __name__ == "__main__":
    main()
