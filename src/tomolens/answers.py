"""How commands answer: one line and an exit code where something is wrong, never a traceback."""

import functools
from collections.abc import Callable

import typer

from .errors import TomolensError


def answered(command: Callable[..., None]) -> Callable[..., None]:
    """A command that answers bad input with one line and exit code 2, and Ctrl-C with 130."""

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
        except (TomolensError, OSError) as error:
            typer.echo(f"tomolens: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as stop:
            typer.echo("tomolens: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from stop

    return run
