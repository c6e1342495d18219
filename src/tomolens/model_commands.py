"""`tomolens model`: networks that came from elsewhere."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import typer

from .answers import answered, last_line

model_app = typer.Typer(no_args_is_help=True, help="Networks that came from elsewhere.")


@model_app.command()
@answered
def check(
    network: Annotated[
        str,
        typer.Argument(
            help="File or folder: safetensors, state dict, MONAI bundle, .pt2, TorchScript, Hugging Face folder, ONNX, "
            "or module.py:function."
        ),
    ],
    input: Annotated[
        str, typer.Option(help='What goes in, as "-160..240 HU 1x224x224 mean=0.5 std=0.25"; over what its files say.')
    ] = "",
    output: Annotated[
        str,
        typer.Option(help="What comes out: logit, probability, logits or probabilities; logits:0 of several outputs."),
    ] = "",
    classes: Annotated[str, typer.Option(help="Names of the outputs, in their order, separated by commas.")] = "",
    labels: Annotated[bool, typer.Option("--labels", help="Each output is a yes or no of its own.")] = False,
    architecture: Annotated[str, typer.Option(help="Of weights alone: resnet50, monai:DenseNet121, ...")] = "",
    arguments: Annotated[
        str, typer.Option(help='Of the architecture, as TOML: "spatial_dims = 2, in_channels = 1".')
    ] = "",
    out: Annotated[Path | None, typer.Option(help="network.toml to write, for studies.")] = None,
    allow_code: Annotated[bool, typer.Option("--allow-code", help="Run module.py, which is your own.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Try a network: what it takes, what it returns, and whether its maps can be made and repeated."""
    from .classifier.network_file import write_network_file
    from .classifier.weights import require_writable
    from .errors import NetworkError, SettingsError
    from .probes import check_network
    from .probes.finding import lines

    try:
        literal = tomllib.loads(f"arguments = {{{arguments}}}")["arguments"]
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"--arguments: not TOML ({error}); as in 'spatial_dims = 2, in_channels = 1'") from error
    task: Literal["classes", "labels"] = "labels" if labels else "classes"
    if out is not None:
        if out.suffix != ".toml":
            raise SettingsError(f"--out {out}: studies know a network's file by its ending, as in {out.stem}.toml")
        require_writable(out)
    named = [one.strip() for one in classes.split(",") if one.strip()]
    checked = check_network(
        network,
        input=input,
        output=output,
        task=task,
        classes=named,
        architecture=architecture,
        arguments=literal,
        allow_code=allow_code,
    )
    if not quiet:
        for line in lines(checked.findings):
            typer.echo(line)
    if checked.network is None:
        reasons = "; ".join(f"{one.check}: {one.found}" for one in checked.findings if one.state == "refused")
        shown = "for the reason above" if not quiet and not as_json else reasons
        raise NetworkError(f"{network}: refused, {shown}")
    if out is not None:
        write_network_file(checked.network, out)
        if not quiet:
            typer.echo(f"written: {out.resolve()}; next: tomolens study study.toml --model {out}")
    if as_json:
        last_line(
            {
                "network": str(checked.network.source),
                "hash": checked.network.source.hash,
                "written": None if out is None else str(out.resolve()),
                "findings": [{"check": one.check, "state": one.state, "found": one.found} for one in checked.findings],
            }
        )
