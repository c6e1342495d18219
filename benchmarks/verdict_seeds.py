"""The verdict of both built-in studies over several seeds: contrast agent, and nodules at random places.

    python benchmarks/verdict_seeds.py [--seeds 10] [--first 0] [--device cpu] [--workers N] [--out DIR]

Each seed is another study: other cases, another network. Finished ones in DIR are not run again.
"""

import argparse
import tempfile
from pathlib import Path

from tomolens import Study
from tomolens.study.settings import read_settings

STUDIES = {"contrast": None, "nodule": Path(__file__).parents[1] / "studies" / "nodule.toml"}


def main() -> None:
    """Print a row for each study and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    chosen = parser.parse_args()
    folder = chosen.out or Path(tempfile.mkdtemp())
    print("| study | seed | accuracy | cannot judge | believed |")
    print("|---|---|---|---|---|")
    for name in chosen.studies:
        for seed in range(chosen.first, chosen.first + chosen.seeds):
            settings = read_settings(STUDIES[name]).model_copy(update={"seed": seed})
            out = folder / f"{name}-{seed}"
            findings = Study.of(settings).run(out, device=chosen.device, workers=chosen.workers)
            accuracy = findings.description.get("accuracy")["balanced"]
            cannot = [view for view, state in findings.can_judge.items() if state != "yes"]
            believed = [card.estimator for card in findings.verdict.believed]
            row = name, str(seed), f"{100 * accuracy:.1f} %", ", ".join(cannot) or "–", ", ".join(believed) or "none"
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
