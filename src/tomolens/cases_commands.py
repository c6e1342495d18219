"""`tomolens cases`: find the cases on a disk, fetch public ones."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .answers import answered, answered_and_resumed

cases_app = typer.Typer(
    no_args_is_help=True, help="Find cases on a disk and write their CSV; fetch public collections."
)


@cases_app.command()
@answered
def index(
    source: Annotated[str, typer.Argument(help="What lies there: dicom, folder, lidc-idri, lndb or tcga.")],
    folder: Annotated[Path, typer.Argument(help="Where it lies.")],
    out: Annotated[Path, typer.Option(help="CSV to write.")] = Path("cases.csv"),
    labels: Annotated[
        Path | None,
        typer.Option(help="CSV: label and one of instance, image, series, scan, patient. Default: the contrast tag."),
    ] = None,
    slices: Annotated[
        str, typer.Option(help="all, every=N, count=N (a scan), largest-mask=N, or volume: each scan whole.")
    ] = "all",
    masks: Annotated[bool, typer.Option(help="Put masks that are found into the CSV.")] = True,
    structures: Annotated[
        str | None, typer.Option(help="Structures that count for largest-mask, separated by commas.")
    ] = None,
    consensus: Annotated[int | None, typer.Option(min=1, help="Readers of a mask that must agree.")] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            help="Names of the labels 0,1,..., separated by commas: the sub-folders of `folder`, or of --labels."
        ),
    ] = None,
    keep_patients: Annotated[bool, typer.Option(help="Keep patient identifiers instead of pseudonyms.")] = False,
    on_error: Annotated[str, typer.Option(help="An unreadable file: skip it and say so, or stop.")] = "skip",
    cache: Annotated[bool, typer.Option(help="Keep headers, so that the next start is immediate.")] = True,
) -> None:
    """Find the CT cases below a folder and write their CSV, with all that was left out beside it."""
    from .bars import bars
    from .cases import MaskChoice
    from .cases.slices import SliceChoice
    from .cases.sources.collections import SOURCES
    from .cases.sources.dicom_tree import IndexOptions
    from .errors import SettingsError

    if source not in SOURCES:
        raise SettingsError(f"source '{source}', expected one of {', '.join(SOURCES)}")
    if on_error not in ("skip", "stop"):
        raise SettingsError(f"on-error '{on_error}', expected skip or stop")
    ending: Literal["skip", "stop"] = "skip" if on_error == "skip" else "stop"
    with bars() as progress:
        options = IndexOptions(
            labels=labels,
            classes=None if classes is None else tuple(name.strip() for name in classes.split(",")),
            slices=SliceChoice.parse(slices),
            masks=MaskChoice(None if structures is None else tuple(name.strip() for name in structures.split(","))),
            with_masks=masks,
            consensus=consensus,
            keep_patients=keep_patients,
            on_error=ending,
            cached=cache,
            progress=progress,
        )
        found = SOURCES[source](folder, options)
        found.write(out)
    for line in found.summary():
        typer.echo(line)
    typer.echo(f"cases: {out.resolve()}")


@cases_app.command()
@answered_and_resumed
def download(
    collection: Annotated[str, typer.Argument(help="lidc-idri or tcga.")],
    out: Annotated[Path, typer.Option(help="Folder to write; what is there is not fetched again.")],
    patients: Annotated[int | None, typer.Option(min=1, help="Only the first so many patients.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how much it is and stop.")] = False,
) -> None:
    """Fetch a public collection from the Imaging Data Commons (extra `tomolens[download]`)."""
    from .cases.sources.download import client, plan_download
    from .cases.sources.download import download as fetch

    idc = client()
    plan = plan_download(idc, collection, patients)
    if dry_run:
        typer.echo(str(plan))
        return
    fetch(idc, plan, out, typer.echo)
