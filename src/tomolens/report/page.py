"""The page: one self-contained HTML file with the answer in words, tables, charts and cases, everything escaped."""

import base64
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ..findings import Findings
from ..results.gallery import ORDERS, GalleryCase
from .answer import headline, warnings
from .charts import charts
from .checklists import checklists
from .methods import hashes, paragraphs, parameters
from .sections import sections
from .viewer import viewer

Figures = Mapping[str, Path]
MANY = 12
"""Estimators from which on a reader may choose some of them."""


def write_page(findings: Findings, figures: Figures, cases: Sequence[GalleryCase], file: Path) -> None:
    """Write the page; ``figures`` are PNG files by name, embedded, and ``cases`` those of its viewer."""
    folder = resources.files("tomolens.report")
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    drawn, shown = charts(findings), viewer(findings, cases)
    text = environment.from_string(folder.joinpath("page.html").read_text()).render(
        name=findings.description.name,
        verdict=findings.verdict,
        headline=headline(findings),
        facts=_facts(findings),
        warnings=warnings(findings),
        sections=sections(findings),
        pictures={name: base64.b64encode(path.read_bytes()).decode() for name, path in figures.items()},
        charts=drawn,
        charts_data=in_script(drawn),
        viewer=shown,
        groups=groups(findings),
        orders=ORDERS,
        viewer_data=in_script(shown),
        paragraphs=paragraphs(findings),
        parameters=parameters(findings),
        hashes=hashes(findings),
        checklists=checklists(findings),
        version=findings.description.raw["versions"]["tomolens"],
        style=Markup(folder.joinpath("page.css").read_text()),
        script=Markup(folder.joinpath("page.js").read_text() + folder.joinpath("filter.js").read_text()),
        plotly=Markup(get_plotlyjs()) if drawn else "",
    )
    file.write_text(text, encoding="utf-8")


def groups(findings: Findings) -> dict[str, list[str]]:
    """The titles of the estimators of each group, where there are enough of them to choose from; else nothing."""
    found: dict[str, list[str]] = {}
    for one in findings.description.estimators:
        if one.group and not one.baseline and not one.truth:
            found.setdefault(one.group, []).append(one.title)
    return found if sum(map(len, found.values())) > MANY else {}


def in_script(content: Any) -> Markup:
    """JSON inside a script element: nothing in it can end the element."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))


def _facts(findings: Findings) -> list[tuple[str, str]]:
    cases = findings.measured.cases
    accuracy = findings.description.get("accuracy", {})
    return [
        ("cases explained", f"{len(cases)}, of {cases['patient'].nunique()} patients"),
        ("with a mask to compare with", str(int((cases["mask"] == "usable").sum()))),
        ("with an empty mask", str(int((cases["mask"] == "empty").sum()))),
        ("accuracy, mean of the classes", f"{100 * accuracy.get('balanced', float('nan')):.1f} %"),
        ("networks", str(len(findings.description.get("networks", [])))),
        ("seed", str(findings.description.seed)),
    ]
