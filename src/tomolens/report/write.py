"""Everything a study leaves to look at: tables as CSV, figures as PNG, the page."""

from collections.abc import Callable, Iterator
from pathlib import Path

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
from .views import views_figure


def write_report(findings: Findings, store: Store, progress: Progress) -> None:
    """Write ``tables/``, ``figures/`` (PNG and PDF with captions) and ``report.html`` into the study's folder.

    Raises:
        SettingsError: the folder cannot be written.
    """
    try:
        write_tables(findings, store.folder / "tables")
        pictures = list(_figures(findings, store))
        files: dict[str, Path] = {}
        folder = store.folder / "figures"
        folder.mkdir(exist_ok=True)
        for done, (name, draw) in enumerate(pictures, start=1):
            files[name] = folder / f"{name}.png"
            figure = draw()
            figure.savefig(files[name])
            figure.set_layout_engine("none")  # it is laid out
            figure.savefig(files[name].with_suffix(".pdf"), metadata={"Subject": caption(name), "CreationDate": None})
            progress("drawing the report", done, len(pictures), name)
        write_captions(folder / "captions.md", list(files))
        write_page(findings, files, list(store.viewed()), store.folder / "report.html")
    except OSError as error:
        raise SettingsError(f"{store.folder} cannot be written ({error.strerror})") from error


def write_tables(findings: Findings, folder: Path) -> list[Path]:
    """One CSV a table, full precision; returns the files."""
    folder.mkdir(exist_ok=True)
    files = []
    for name, table in findings.tables.items():
        files.append(folder / f"{name}.csv")
        table.to_csv(files[-1], index=False)
    return files


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
