"""How commands answer: one line and an exit code where something is wrong, never a traceback."""

import functools
import signal
from collections.abc import Callable

import typer

from .errors import TomolensError
from .study.stopping import interrupted_by_signals


def answered(command: Callable[..., None]) -> Callable[..., None]:
    """A command that answers bad input with one line and exit code 2, Ctrl-C with 130 and SIGTERM with 143."""

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        with interrupted_by_signals() as stopping:
            try:
                command(*arguments, **options)
            except BaseException as error:
                if stopping() or isinstance(error, KeyboardInterrupt):
                    typer.echo("tomolens: interrupted; the same command goes on where it stopped", err=True)
                    number = getattr(error, "number", None) or stopping.number or signal.SIGINT
                    raise typer.Exit(128 + number) from error
                if isinstance(error, TomolensError | OSError):
                    typer.echo(f"tomolens: {' '.join(str(error).split())}", err=True)
                    raise typer.Exit(2) from error
                raise

    return run
