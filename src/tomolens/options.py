"""Options that several commands have."""

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="Where the network runs: cpu, cuda, cuda:1, ...")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="The network is made by Python code of your own, which may be run.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print neither progress nor tables; errors still.")]
Json = Annotated[bool, typer.Option("--json", help="End with one line of JSON: what came out, and where it is.")]
