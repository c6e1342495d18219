"""How often the verdict errs: studies of simulated nodules in which the answer is known, with maps made of the truth.

    python benchmarks/verdict_errors.py [--studies 100] [--patients 30]

The network is one that sees nodules and nothing else: its decision turns when more than half of the nodule's evidence
is taken away. Of such a network fidelity by the twin and the evidence AUC of any map can be computed without one.
Maps that know nothing are smooth random fields; good ones are the truth with noise.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from tomolens.cases import Case, CaseEntry, Preprocessing, phantom
from tomolens.estimators.baselines import BASELINES, TRUTH
from tomolens.estimators.subject import Scene, Subject
from tomolens.findings import Findings
from tomolens.metrics.evidence import EVIDENCE, evidence_auc
from tomolens.metrics.fidelity import FIDELITY_TWIN, area_between
from tomolens.metrics.masking import masked_fractions
from tomolens.metrics.ranked import RankedMap, rank_map
from tomolens.randomness import generator
from tomolens.regions import count_at
from tomolens.results.description import Described, as_json
from tomolens.results.rows import SAME, TWIN_TURNS, Measurement, rows_of_evaluation
from tomolens.results.store import Store

STEPS = 40
NOTHING = tuple(f"nothing-{number}" for number in range(7))
DRAWN = ("centre-prior", "raw-intensity", "sobel-edges")


def fidelity_by_the_twin(ranked: RankedMap, truth: np.ndarray) -> float:
    """Of a network that decides for the nodule while at least half of its evidence is there."""
    weights = truth.ravel() / truth.sum()
    curves = []
    for order in (ranked.order[::-1], ranked.order):
        gone = np.concatenate([[0.0], np.cumsum(weights[order])])
        taken = [gone[count_at(share, len(weights))] for share in masked_fractions(STEPS)]
        curves.append((np.array(taken) < 0.5).astype(float))
    return area_between(*curves)


def maps_of(case, truth: np.ndarray, good: float | None, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Estimators' absolute maps, blurred ones, blind baselines and the truth, each ``(*spatial)``."""
    import torch

    subject = Subject(torch.from_numpy(case.image), 1, case.name, seed, scene=Scene(body=case.body, twin=case.twin))
    drawn = {(name, "original"): BASELINES[name].draw(subject) for name in DRAWN}
    drawn = {key: np.broadcast_to(values, case.image.shape)[0] for key, values in drawn.items()}
    drawn[TRUTH.name, "original"] = truth
    for name in NOTHING:
        random = generator(seed, name, case.name)
        drawn[name, "absolute"] = np.abs(gaussian_filter(random.standard_normal(truth.shape), random.uniform(0, 4)))
    if good is not None:
        noise = generator(seed, "good", case.name).standard_normal(truth.shape)
        drawn["good", "absolute"] = truth / truth.max() + good * np.abs(noise)
    for name, _ in [key for key in drawn if key[1] == "absolute"]:
        drawn[name, "blurred"] = gaussian_filter(drawn[name, "absolute"], 0.05 * truth.shape[0])
    return drawn


def study(folder: Path, cases: Sequence[Case], seed: int, good: float | None, controlled: bool) -> Findings:
    """One study of cases with a nodule, written and read."""
    names = (*NOTHING, *(("good",) if good is not None else ()))
    beside = [*DRAWN, *([TRUTH.name] if controlled else [])]
    described = [Described(name, name, "", "", False, False, False) for name in names]
    described += [
        Described(name, name, "", "", name != TRUTH.name, True, False, truth=name == TRUTH.name) for name in beside
    ]
    metrics = (FIDELITY_TWIN, EVIDENCE) if controlled else (FIDELITY_TWIN,)
    raw = {
        "identity": "simulated",
        "content": {
            "settings": {
                "name": "simulated",
                "seed": seed,
                "statistics": {"resamples": 2000, "confidence": 0.95},
                "verdict": {"confidence": 0.95, "least_turned": 0.5},
            },
            "task": ["without nodule", "with nodule"],
            "cases": {"count": len(cases)},
        },
        "estimators": [asdict(one) for one in described],
        "metrics": [as_json(one.declaration) for one in metrics],
    }
    with Store(folder) as store:
        store.open(raw)
        tables = []
        for index, case in enumerate(cases):
            truth = np.abs(case.image - case.twin)[0]
            measured = [Measurement("", "", "correct", 1.0), Measurement("", "", TWIN_TURNS, 1.0)]
            for (name, form), values in maps_of(case, truth, good, seed).items():
                if (name == TRUTH.name or form == "blurred") and not controlled:
                    continue
                ranked = rank_map(values[None], seed=seed, name=case.name)
                if form == "absolute":
                    measured += [Measurement(name, form, SAME, 1.0)]
                measured += [Measurement(name, form, "fidelity_twin", fidelity_by_the_twin(ranked, truth))]
                if controlled:
                    measured += [Measurement(name, form, "evidence", evidence_auc(ranked, truth))]
            tables.append(rows_of_evaluation(index, CaseEntry(case.name, 1, case.name), 0, "none", 1, measured, ""))
        store.shards.write(tables, range(len(cases)))
    return Findings.from_folder(folder)


def drawn(seed: int, patients: int) -> list[Case]:
    """Simulated chests with a nodule."""
    seen = Preprocessing(64, (-1000, 400))
    cases = phantom.cases(2 * patients, seed, preprocessing=seen, finding="nodule", finding_mm=(12, 30))
    return list(cases.select(range(1, 2 * patients, 2)))


def main() -> None:
    """Print a table: in which share of the studies a map is believed that knows nothing, and one that is good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--patients", type=int, default=30)
    chosen = parser.parse_args()
    kinds = [(good, controlled) for good in (None, 0.1, 0.3, 0.6) for controlled in (True, False)]
    false, right = dict.fromkeys(kinds, 0), dict.fromkeys(kinds, 0)
    for seed in range(chosen.studies):
        cases = drawn(seed, chosen.patients)
        for kind in kinds:
            with tempfile.TemporaryDirectory() as folder:
                believed = study(Path(folder) / "s", cases, seed, *kind).verdict.believed
            false[kind] += any(card.estimator in NOTHING for card in believed)
            right[kind] += any(card.estimator == "good" for card in believed)
    print(f"{chosen.studies} studies of {chosen.patients} patients")
    print("| maps | views | nothing believed for something | good map believed |")
    print("|---|---|---|---|")
    for good, controlled in kinds:
        words = "know nothing" if good is None else f"and the truth + {good:g} |noise|"
        said = "–" if good is None else f"{100 * right[good, controlled] / chosen.studies:.0f} %"
        wrongly = f"{100 * false[good, controlled] / chosen.studies:.0f} %"
        print(f"| {words} | {'controlled' if controlled else 'not controlled'} | {wrongly} | {said} |")


if __name__ == "__main__":
    main()
