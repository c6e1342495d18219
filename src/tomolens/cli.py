"""The command line: thin. Arguments in, one line out where something is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .answers import answered, answered_and_resumed, last_line, one_line
from .cases_commands import cases_app
from .explain_command import explain
from .model_commands import model_app
from .options import AllowCode, Device, Json, Quiet

if TYPE_CHECKING:
    from .findings import Findings

app = typer.Typer(
    name="tomolens",
    help="Which saliency map can we believe? Importance estimators of CT classifiers, computed and evaluated.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


app.add_typer(cases_app, name="cases")
app.add_typer(model_app, name="model")
app.command()(explain)

Out = Annotated[Path, typer.Option(help="Folder to write; an unfinished study there is finished.")]
Executor = Literal["local", "ray"]
Format = Literal["html", "csv", "latex"]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tomolens {version('tomolens')}")
        raise typer.Exit


@app.callback()
def _main(
    shown: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Which saliency map can we believe? Importance estimators of CT classifiers, computed and evaluated."""


@app.command()
@answered_and_resumed
def study(
    file: Annotated[Path | None, typer.Argument(help="Study file (TOML); without one, the built-in study.")] = None,
    cases: Annotated[
        list[Path] | None,
        typer.Option(help="CSV of the cases (may be given twice), or a folder with one sub-folder a class."),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Evaluate this network instead of training one: network.toml of `tomolens model check`."),
    ] = None,
    allow_code: AllowCode = False,
    out: Out = Path("results"),
    device: Device = "cpu",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes on this machine; chosen from its cores by default.")
    ] = None,
    executor: Annotated[Executor, typer.Option(help="Who does the work: this machine, or a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of a running Ray cluster; 'auto' finds it.")] = None,
    vary: Annotated[
        bool, typer.Option("--vary", help="Also try other scores, fills, noise, steps, ...: which choices matter.")
    ] = False,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Put implants into the cases: which views can judge these maps?")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew, in another folder if this one is taken.")] = False,
    verify: Annotated[
        Path | None, typer.Option(help="Compute some cases of this finished study again and compare.", metavar="FOLDER")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Measure for some seconds, say what the study will take, and stop.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Run a study: train, explain, evaluate, report. Exit code 3 when some cases failed."""
    from .api import Study, free_folder, verify_study
    from .bars import bars

    if verify is not None:
        with bars(quiet) as progress:
            lines, same = verify_study(verify, cases, model, device=device, allow_code=allow_code, progress=progress)
        _say(lines, quiet)
        if as_json:
            last_line({"folder": str(verify.resolve()), "same": same, "said": lines})
        if not same:
            raise typer.Exit(1)
        return
    planned = Study.from_toml(file, cases, model, vary=vary, calibrate=calibrate, allow_code=allow_code)
    for note in () if quiet else planned.network_notes:
        typer.echo(f"tomolens: note: {one_line(note)}", err=True)
    if dry_run:
        with bars(quiet) as progress:
            cost = planned.estimate(device=device, progress=progress)
        _say(cost.lines(), quiet)
        if as_json:
            last_line(asdict(cost))
        return
    if fresh:
        out = free_folder(out)
    with bars(quiet) as progress:
        findings = planned.run(
            out, device=device, workers=workers, executor=executor, address=address, progress=progress
        )
    _show(findings, out, quiet, as_json)
    if len(findings.measured.failed):
        raise typer.Exit(3)


@app.command()
@answered
def train(
    recipe: Annotated[Path | None, typer.Argument(help="Study file whose cases and recipe are used.")] = None,
    cases: Annotated[list[Path] | None, typer.Option(help="CSV of the cases, or a folder of classes.")] = None,
    out: Annotated[Path, typer.Option(help="Weights to write (safetensors).")] = Path("network.safetensors"),
    device: Device = "cpu",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train the network of a study file on its training cases and write its weights."""
    from .api import Study, train_network
    from .bars import bars

    with bars(quiet) as progress:
        facts = train_network(Study.from_toml(recipe, cases), out, device=device, progress=progress)
    _say([*(f"{name}: {value}" for name, value in facts.items()), f"weights: {out.resolve()}"], quiet)
    if as_json:
        last_line({"weights": str(out.resolve()), **facts})


@app.command()
@answered
def report(
    results: Annotated[Path, typer.Argument(help="Folder of a study.")] = Path("results"),
    format: Annotated[
        Format, typer.Option(help="html: tables, figures and page; csv: the tables alone; latex: a table for a paper.")
    ] = "html",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Rebuild tables, figures and page of a study from its stored measurements."""
    from .api import report as rebuild
    from .api import report_tables
    from .bars import bars

    if format != "html":
        files = [str(file.resolve()) for file in report_tables(results, format)]
        _say(files, quiet)
        if as_json:
            last_line({"folder": str(results.resolve()), "files": files})
        return
    with bars(quiet) as progress:
        findings = rebuild(results, progress)
    _show(findings, results, quiet, as_json)


@app.command()
@answered
def estimators() -> None:
    """List the estimators with their sources."""
    from .estimators import GROUPS

    for group, members in GROUPS.items():
        typer.echo(f"{group}:")
        _list({made.name: f"{_first_line(made)}  [{made.source}]" for made in (member() for member in members)})


@app.command()
@answered
def baselines() -> None:
    """List the blind baselines, which never look at the network."""
    from .estimators.baselines import BASELINES

    _list({name: _first_line(baseline.draw) for name, baseline in BASELINES.items()})


@app.command()
@answered
def metrics() -> None:
    """List the metrics with what they measure."""
    from .metrics.registry import METRICS

    _list({name: _first_line(metric.measure) for name, metric in METRICS.items()})


def _list(lines: Mapping[str, str]) -> None:
    width = max(map(len, lines))
    for name, words in lines.items():
        typer.echo(f"{name:{width}}  {words}")


def _first_line(documented: object) -> str:
    return (documented.__doc__ or "").partition("\n")[0]


def _show(findings: "Findings", folder: Path, quiet: bool, as_json: bool) -> None:
    from .report.answer import headline
    from .report.warnings import warnings
    from .report.words import summary

    page = str((folder / "report.html").resolve())
    if not quiet:
        _say([summary(findings), f"report: {page}"], quiet)
    if as_json:
        failed = findings.measured.failed
        last_line(
            {
                "folder": str(folder.resolve()),
                "report": page,
                "tables": sorted(str(file.resolve()) for file in (folder / "tables").glob("*.csv")),
                "verdict": findings.verdict.as_json(),
                "headline": headline(findings),
                "warnings": warnings(findings),
                "cases": len(findings.measured.cases),
                "failures": dict(zip(failed["case"], failed["note"], strict=True)),
            }
        )


def _say(lines: Sequence[str], quiet: bool) -> None:
    if not quiet:
        for line in lines:
            typer.echo(line)


def main() -> None:
    """Entry point of the ``tomolens`` command."""
    app()


if __name__ == "__main__":
    main()
