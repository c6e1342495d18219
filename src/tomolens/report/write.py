"""Everything a study leaves to look at: tables as CSV, figures as PNG and PDF, the page."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..code import code_hash
from ..errors import SettingsError
from ..findings import Findings
from ..findings.sentence import basis
from ..progress import Progress
from ..results.store import Store
from . import agreement, breakdowns, choices, metric_agreement, panels, ranks
from .checklists import checklists
from .curves import curves_figure
from .page import write_page
from .series import views_beside
from .style import AS_WRITTEN
from .trust import named

MADE = "report.json"
"""What the report of a study was made of."""
RUN = ("=", "+", "-", "@", "\t", "\r", "\n")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?( [A-Za-z]+)?")


@dataclass(frozen=True)
class Drawing:
    """A figure to come.

    Attributes:
        name: of its files.
        caption: to stand below it in a paper.
        draw: makes it.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def write_report(findings: Findings, store: Store, progress: Progress) -> None:
    """Write ``tables/``, ``figures/`` (PNG and PDF with captions), checklists, ``verdict.json`` and ``report.html``.

    Raises:
        SettingsError: the folder cannot be written.
    """
    try:
        write_tables(findings, store.folder / "tables")
        verdict = json.dumps(findings.verdict.as_json(), indent=2, allow_nan=False)
        (store.folder / "verdict.json").write_text(f"{verdict}\n", encoding="utf-8")
        write_checklists(findings, store.folder / "checklists")
        _draw(findings, store, progress)
        write_page(findings, list(store.gallery()), store.folder / "report.html")
        written = [
            str(file.relative_to(store.folder))
            for part in ("tables", "figures", "checklists")
            for file in (store.folder / part).iterdir()
        ]
        made = _made(store, sorted([*written, "verdict.json", "report.html"]))
        (store.folder / MADE).write_text(json.dumps(made, indent=2), encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{store.folder} cannot be written ({error.strerror})") from error


def is_current(store: Store) -> bool:
    """Whether all that a report leaves is there, and was made of this study as it is by this code."""
    try:
        made = json.loads((store.folder / MADE).read_text(encoding="utf-8"))
        return bool(made == _made(store, made["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _made(store: Store, files: Iterable[str]) -> dict[str, object]:
    """What a report was made of, and the hash of each of its files."""
    description, code = store.description_file.read_bytes(), code_hash(Path(__file__).parents[1])
    hashes = {name: _hash((store.folder / name).read_bytes()) for name in files}
    return {"of": _hash(description + code.encode()), "files": hashes}


def _hash(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _draw(findings: Findings, store: Store, progress: Progress) -> None:
    """Write each figure as PNG and PDF, and all captions."""
    folder = store.folder / "figures"
    folder.mkdir(exist_ok=True)
    pictures = list(_figures(findings, store))
    for done, one in enumerate(pictures, start=1):
        file = folder / f"{one.name}.png"
        with rc_context(AS_WRITTEN):
            figure = one.draw()
            figure.savefig(file)
            figure.set_layout_engine("none")  # it is laid out
            facts = {"Subject": one.caption, "CreationDate": None}
            figure.savefig(file.with_suffix(".pdf"), metadata=facts)
        progress("drawing the report", done, len(pictures), one.name)
    begun = f"Of all figures: {_sources(findings)}\n\n"
    captions = begun + "".join(f"**{one.name}.pdf** {one.caption}\n\n" for one in pictures)
    (folder / "captions.md").write_text(captions, encoding="utf-8")


def _sources(findings: Findings) -> str:
    """What the captions of all figures leave out: of which cases they are, and what intervals are."""
    cases = findings.measured.cases
    return (
        f"study “{findings.description.name}”, {basis(len(cases), cases['patient'].nunique())}; intervals are "
        f"{100 * findings.resampling.confidence:.0f} % BCa bootstrap intervals over patients."
    )


def write_tables(findings: Findings, folder: Path) -> list[Path]:
    """One CSV for each table that has rows, full precision, see `for_spreadsheets`; returns the files."""
    folder.mkdir(exist_ok=True)
    files = {name: folder / f"{name}.csv" for name, table in findings.tables.items() if not table.empty}
    for name, file in files.items():
        for_spreadsheets(findings.tables[name]).to_csv(file, index=False)
    return list(files.values())


def write_checklists(findings: Findings, folder: Path) -> None:
    """Each checklist as Markdown, to edit elsewhere: a new report writes it anew."""
    folder.mkdir(exist_ok=True)
    for one in checklists(findings):
        (folder / f"{one.name}.md").write_text(one.markdown, encoding="utf-8")


def for_spreadsheets(table: pd.DataFrame) -> pd.DataFrame:
    """The same table with an apostrophe before every text that a spreadsheet would run.

    Such a text begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break. Numbers stay numbers, and so does text
    that is a number, with a unit or without (``-1000 HU``).
    """
    words = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name].dtype)]
    quoted = {name: table[name].astype(object).map(_quoted).astype(object) for name in words}
    return table.assign(**quoted)


def _quoted(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(RUN) and not NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def _figures(findings: Findings, store: Store) -> Iterator[Drawing]:
    """All figures for which there are measurements."""
    for chart in (chart for metric in findings.description.metrics for chart in metric.charts):
        if not findings.tables[f"{chart.name}_curve"].empty:
            yield Drawing(chart.name, chart.caption, partial(curves_figure, findings, chart))
    for breakdown in breakdowns.breakdowns(findings):
        words = breakdowns.caption(findings, breakdown)
        yield Drawing(breakdown.name, words, partial(breakdowns.breakdown_figure, findings, breakdown))
    model, others = views_beside(findings)
    if model is not None and others:
        caption = agreement.CAPTION.format(named(findings, model))
        yield Drawing("agreement", caption, partial(agreement.agreement_figure, findings))
    for view, found in findings.critical_differences.items():
        draw = partial(ranks.critical_difference_figure, findings, found)
        yield Drawing(f"ranks-{view}", f"By {named(findings, findings.views[view])}: {ranks.CAPTION}", draw)
    if not findings.tables["choices"].empty:
        yield Drawing("choices", choices.CAPTION, partial(choices.choices_figure, findings))
    if not findings.tables["metrics"].empty:
        draw = partial(metric_agreement.metrics_figure, findings)
        yield Drawing("metrics", metric_agreement.CAPTION, draw)
    for place, example in enumerate(store.examples(), start=1):
        given = example, findings.description
        words = panels.caption(panels.MAPS, example, of_maps=True)
        yield Drawing(f"example-{place}-maps", words, partial(panels.maps_figure, *given))
        if example.region_maps:
            words = panels.caption(panels.REGIONS, example, of_maps=False)
            yield Drawing(f"example-{place}-regions", words, partial(panels.regions_figure, *given))
