"""Everything a study leaves to look at: tables as CSV, figures as PNG, the page."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from ..errors import SettingsError
from ..findings import Findings
from ..progress import Progress
from ..study.store import Store
from .captions import caption, write_captions
from .choices import choices_figure
from .curves import dice_figure, perturbation_figure, roc_figure
from .page import write_page
from .panels import maps_figure, regions_figure
from .ranks import critical_difference_figure
from .style import AS_WRITTEN
from .views import views_figure

RUN = ("=", "+", "-", "@", "\t", "\r", "\n")
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?( [A-Za-z]+)?")


def write_report(findings: Findings, store: Store, progress: Progress) -> None:
    """Write ``tables/``, ``figures/`` (PNG and PDF with captions) and ``report.html`` into the study's folder.

    Raises:
        SettingsError: the folder cannot be written.
    """
    try:
        write_tables(findings, store.folder / "tables")
        files = _drawn(findings, store, progress)
        write_captions(store.folder / "figures" / "captions.md", list(files))
        write_page(findings, files, list(store.viewed()), store.folder / "report.html")
    except OSError as error:
        raise SettingsError(f"{store.folder} cannot be written ({error.strerror})") from error


def _drawn(findings: Findings, store: Store, progress: Progress) -> dict[str, Path]:
    """The figures' PNG files by name, written beside their PDF."""
    files: dict[str, Path] = {}
    folder = store.folder / "figures"
    folder.mkdir(exist_ok=True)
    with rc_context(AS_WRITTEN):
        pictures = list(_figures(findings, store))
        for done, (name, draw) in enumerate(pictures, start=1):
            files[name] = folder / f"{name}.png"
            figure = draw()
            figure.savefig(files[name])
            figure.set_layout_engine("none")  # it is laid out
            figure.savefig(files[name].with_suffix(".pdf"), metadata={"Subject": caption(name), "CreationDate": None})
            progress("drawing the report", done, len(pictures), name)
    return files


def write_tables(findings: Findings, folder: Path) -> list[Path]:
    """One CSV a table, full precision, see `for_spreadsheets`; returns the files."""
    folder.mkdir(exist_ok=True)
    files = []
    for name, table in findings.tables.items():
        files.append(folder / f"{name}.csv")
        for_spreadsheets(table).to_csv(files[-1], index=False)
    return files


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


def _figures(findings: Findings, store: Store) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Name and drawing of each figure for which there are measurements."""
    if not findings.tables["fidelity"].empty:
        yield "perturbation", lambda: perturbation_figure(findings)
    if not findings.tables["roc"].empty:
        yield "roc", lambda: roc_figure(findings)
    if not findings.tables["overlap"].empty:
        yield "dice", lambda: dice_figure(findings)
    if not findings.tables["views"].empty and "fidelity" in findings.compared:
        yield "views", lambda: views_figure(findings)
    for view, found in findings.critical_differences.items():
        yield f"ranks-{view}", lambda found=found: critical_difference_figure(found)  # type: ignore[misc]
    if not findings.tables["choices"].empty:
        yield "choices", lambda: choices_figure(findings)
    classes = findings.settings.cases.classes
    for place, example in enumerate(store.examples(), start=1):
        yield f"example-{place}-maps", lambda example=example: maps_figure(example, classes)  # type: ignore[misc]
        if example.region_maps:
            yield f"example-{place}-regions", lambda example=example: regions_figure(example, classes)  # type: ignore[misc]
