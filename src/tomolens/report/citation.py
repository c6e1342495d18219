"""What to cite: the tool with its version and the study's hash, and the paper whose protocol it follows."""

import re

from ..findings import Findings

PAPER = """@inproceedings{brocki2022evaluation,
  title     = {Evaluation of importance estimators in deep learning classifiers for Computed Tomography},
  author    = {Brocki, Lennart and Marchadour, Wistan and Maison, Jonas and Badic, Bogdan and Papadimitroulas,
               Panagiotis and Hatt, Mathieu and Vermet, Franck and Chung, Neo Christopher},
  booktitle = {Explainable and Transparent AI and Multi-Agent Systems (EXTRAAMAS 2022)},
  series    = {LNAI 13283},
  pages     = {3--18},
  year      = {2022},
  note      = {arXiv 2209.15398}
}"""


def bibtex(findings: Findings) -> str:
    """BibTeX of the tool as the study used it, and of the paper."""
    description = findings.description
    commit = description.raw.get("commit")
    note = f"study {description.raw['identity']}" + (f", commit {commit}" if commit else "")
    plain = re.sub(r"[{}\\]", "", note)
    tool = (
        "@software{tomolens,\n"
        "  title   = {TomoLens: evaluation of importance estimators of CT classifiers},\n"
        "  author  = {{The TomoLens developers}},\n"
        f"  version = {{{description.raw['versions']['tomolens']}}},\n"
        f"  note    = {{{plain}}}\n"
        "}"
    )
    return f"{tool}\n\n{PAPER}"
