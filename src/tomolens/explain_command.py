"""`tomolens explain`: from a scan and a network to maps that open in the viewers on the desk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .answers import answered_and_resumed, last_line, one_line
from .options import AllowCode, Device, Json, Quiet


@answered_and_resumed
def explain(
    scans: Annotated[
        list[Path], typer.Argument(help="DICOM files, folders or zips of slices, NIfTI, NRRD, MetaImage; several.")
    ],
    model: Annotated[
        Path, typer.Option(help="network.toml of `tomolens model check`, or weights of `tomolens train`.")
    ],
    estimator: Annotated[
        list[str] | None, typer.Option(help="May be given several times; see `tomolens estimators`.")
    ] = None,
    class_: Annotated[
        str, typer.Option("--class", help="Whose score is explained, by name or number; the predicted one by default.")
    ] = "",
    label: Annotated[str, typer.Option(help="Which output, of a network of labels.")] = "",
    patches: Annotated[
        Path | None,
        typer.Option(help="Study file with [classifier.patches], of a network that was trained on patches."),
    ] = None,
    slices: Annotated[
        str, typer.Option(help="all, every=N, count=N, or numbers from the feet as 3,10-14; of networks of slices.")
    ] = "all",
    series: Annotated[str, typer.Option(help="Name or UID, where a folder holds several.")] = "",
    format: Annotated[str, typer.Option(help="Some of png, nifti, dicom, html, separated by commas.")] = "png,nifti",
    trust: Annotated[
        Path | None, typer.Option(help="Results of a study of this network: its trust cards go with the maps.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Write maps too that the study says are not to be believed, marked.")
    ] = False,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="No file names the patient or the scan; DICOM with new UIDs.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of random draws.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write; a sub-folder for each scan.")] = Path("maps"),
    device: Device = "cpu",
    allow_code: AllowCode = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Importance maps of scans, on their own voxels. Exit code 3 when some scans or maps failed."""
    from .bars import bars
    from .classifier.classifier import usable_device
    from .errors import TomolensError
    from .estimators.estimator import spelled
    from .estimators.registry import make_estimator
    from .export.given import read_network
    from .export.request import Request, folders_of, formats_of, require_estimators
    from .export.trust import read_trust
    from .export.write import explain_into

    formats, chosen = formats_of(format), tuple(map(make_estimator, dict.fromkeys(estimator or ["smoothgrad-squared"])))
    require_estimators(chosen)
    network = read_network(model, label=label, study=patches, allow_code=allow_code)
    network.classifier.network.to(usable_device(device))
    known = None if trust is None else read_trust(trust, network)
    request = Request(network, chosen, formats, class_, slices, series, seed, known, anyway, anonymous)
    failed: dict[str, str] = {}
    done: dict[str, dict[str, Any]] = {}
    pairs = folders_of(scans, out, request)
    with bars(quiet) as progress:
        for number, (scan, folder) in enumerate(pairs):
            progress("scans", number, len(pairs), scan.name)
            try:
                report = explain_into(folder, scan, request, progress=progress)
            except TomolensError as error:
                failed[str(scan)] = one_line(str(error))
                continue
            done[str(scan)] = {
                "folder": str(folder.resolve()),
                "maps": list(report["maps"]),
                "withheld": report["withheld"],
                "left_out": report["left_out"],
            }
        progress("scans", len(pairs), len(pairs))
    _tell(done, failed, quiet)
    if as_json:
        last_line({"done": done, "failed": failed})
    if not done:
        raise typer.Exit(2)
    lacking = any(spelled(one) in of["left_out"] for of in done.values() for one in chosen)
    if failed or lacking:
        raise typer.Exit(3)


def _tell(done: Mapping[str, Mapping[str, Any]], failed: Mapping[str, str], quiet: bool) -> None:
    """What came of each scan; what was left out or withheld is told even where nothing else is."""
    for reason in failed.values():
        typer.echo(f"tomolens: {reason}", err=True)
    for scan, one in done.items():
        for what, why in one["left_out"].items():
            typer.echo(f"tomolens: {scan}: left out: {what}: {one_line(why)}", err=True)
        for name, why in one["withheld"].items():
            typer.echo(f"tomolens: {scan}: withheld: {name}: {one_line(why)} (--anyway writes it)", err=True)
        if not quiet:
            typer.echo(f"{scan}: {one['folder']}")
