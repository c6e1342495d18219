"""The page: one self-contained HTML file with the answer in words, tables, charts and cases, everything escaped."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import BaseLoader, DictLoader, Environment
from markupsafe import Markup

from ..findings import Findings
from ..findings.measured import BOTH
from ..findings.printing import map_title
from ..results.gallery import ORDERS, GalleryCase
from .answer import headline
from .charts import charts
from .checklists import checklists
from .citation import bibtex
from .classes import several_classes
from .glossary import TERMS, Glossary, views_in_words
from .methods import hashes, paragraphs, parameters
from .provenance import command, provenance
from .ranking import ranking
from .section import Section
from .sections import sections
from .style import DARK_PALETTE, PALETTE
from .tiles import tiles
from .viewer import around, viewer
from .warnings import warnings

MANY = 12
"""Estimators from which on a reader may choose some of them."""
TEMPLATES = ("page.html", "workbench.html", "scrubber.html")
STYLES = ("page", "answer", "charts", "workbench", "print")
SCRIPTS = (
    "base",
    "follow",
    "tables",
    "charts",
    "pixels",
    "picture",
    "pointer",
    "pane",
    "film",
    "among",
    "curve",
    "windows",
    "keys",
    "touch",
    "scrubber",
    "cases",
    "workbench",
    "filter",
    "start",
)
"""Files of the page in the order in which they build on one another."""
CASES = "<!-- the cases -->"
"""Where the cases go, for which there is the room that the rest of the page leaves; no name is written with a ``<``."""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#10151b"/>'
    '<ellipse cx="16" cy="16" rx="12" ry="9.5" fill="#8b95a1"/><ellipse cx="16" cy="16.5" rx="9" ry="6.5" '
    'fill="#2a323b"/><circle cx="19.5" cy="15" r="3.6" fill="#ffbe28"/></svg>'
)


def write_page(findings: Findings, cases: Sequence[GalleryCase], file: Path) -> None:
    """Write the page with these cases in its viewer."""
    drawn, shown, told = charts(findings), around(findings, cases), sections(findings)
    found = ranking(findings)
    ids, glossary = _ids(told, list(findings.views)), Glossary({**views_in_words(findings), **TERMS})
    before, chosen = warnings(findings), groups(findings)
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, loader=_templates())
    text = environment.get_template("page.html").render(
        name=findings.description.name,
        icon=f"data:image/svg+xml,{quote(ICON)}",
        provenance=provenance(findings, datetime.now(UTC).date()),
        command=command(findings),
        contents=_contents(told, ids, bool(before), bool(found), bool(shown)),
        section_id=lambda section: ids[id(section)],
        row_key=_row_keys(findings),
        tell=glossary.mark,
        verdict=findings.verdict,
        mood="believe" if findings.verdict.believed else "none",
        tiles=tiles(findings),
        ranking=found,
        headline=headline(findings),
        facts=_facts(findings),
        warnings=before,
        sections=told,
        charts=drawn,
        shown=shown,
        groups=chosen,
        orders=ORDERS,
        viewer_data=Markup(CASES),
        paragraphs=paragraphs(findings),
        parameters=parameters(findings),
        hashes=hashes(findings),
        bibtex=bibtex(findings),
        checklists=checklists(findings),
        version=findings.description.raw["versions"]["tomolens"],
        style=Markup("\n".join([_inks(), *(_web(f"{name}.css") for name in STYLES)])),
        script=Markup("\n".join(_web(f"{name}.js") for name in SCRIPTS)),
    )
    if shown:
        text = text.replace(CASES, in_script(viewer(findings, cases, len(text.encode()))))
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


def _templates() -> BaseLoader:
    return DictLoader({name: _web(name) for name in TEMPLATES})


def _web(name: str) -> str:
    return resources.files("tomolens.report").joinpath("web", name).read_text(encoding="utf-8")


def _inks() -> str:
    """The colours of maps, on a light ground and on a dark one."""
    pairs = enumerate(zip(PALETTE, DARK_PALETTE, strict=True))
    return "\n".join(f".ink-{place} {{ --hue: light-dark({light}, {dark}); }}" for place, (light, dark) in pairs)


def _ids(told: Sequence[Section], views: Sequence[str]) -> dict[int, str]:
    """An anchor for each section: that of its view, or made of its title, each once."""
    found: dict[int, str] = {}
    for section in told:
        plain = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") or "section"
        name = f"view-{section.view}" if section.view in views else plain
        same = sum(one == name or one.startswith(f"{name}--") for one in found.values())
        found[id(section)] = f"{name}--{same + 1}" if same else name
    return found


def _contents(
    told: Sequence[Section], ids: Mapping[int, str], before: bool, ranked: bool, viewed: bool
) -> list[tuple[str, str]]:
    first = [("answer", "Answer", True), ("before", "Notes", before), ("ranking", "Ranking", ranked)]
    first += [("viewer", "Cases", viewed), ("short", "In short", True)]
    named = [(ids[id(section)], section.title.split(":")[0]) for section in told]
    last = [("methods", "Methods"), ("checklists", "Checklists")]
    return [*((anchor, words) for anchor, words, there in first if there), *named, *last]


def _row_keys(findings: Findings) -> Callable[[Sequence[Any]], str]:
    """Which map a row of a table is of, by its first words; empty for none."""
    keys = findings.measured.maps
    by_words: dict[tuple[str, ...], str] = {}
    for key in keys:
        by_words[(map_title(findings, *key),)] = "/".join(key)
        by_words[findings.description.titles.get(key[0], key[0]), key[1]] = "/".join(key)
        if key[1] in ("original", BOTH):
            by_words.setdefault((findings.description.titles.get(key[0], key[0]), BOTH), f"{key[0]}/{BOTH}")

    def key_of(row: Sequence[Any]) -> str:
        words = [str(cell) for cell in row]
        for at in range(min(4, len(words))):
            for length in (2, 1):
                if found := by_words.get(tuple(words[at : at + length])):
                    return found
        return ""

    return key_of


def _facts(findings: Findings) -> list[tuple[str, str]]:
    cases = findings.measured.cases
    accuracy = findings.description.get("accuracy", {})
    return [
        ("cases explained", f"{len(cases)}, of {cases['patient'].nunique()} patients"),
        ("with a mask to compare with", str(int((cases["mask"] == "usable").sum()))),
        ("with an empty mask", str(int((cases["mask"] == "empty").sum()))),
        (
            "accuracy, mean of the classes" if several_classes(findings) else "accuracy",
            f"{100 * accuracy.get('balanced', float('nan')):.1f} %",
        ),
        ("networks", str(len(findings.description.get("networks", [])))),
        ("seed", str(findings.description.seed)),
    ]
