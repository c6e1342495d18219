"""How commands answer: one line and an exit code where something is wrong, never a traceback."""

import functools
import json
import math
import signal
from collections.abc import Callable, Mapping

import typer

from .errors import TomolensError
from .study.stopping import interrupted_by_signals

WORDS_ON = "; the same command goes on where it stopped"


def answered(command: Callable[..., None], *, goes_on: bool = False) -> Callable[..., None]:
    """A command that answers bad input with one line and exit code 2, Ctrl-C with 130 and SIGTERM with 143.

    Args:
        command: to be run.
        goes_on: whether it keeps what it has finished, so that the same command need not do that again.
    """

    @functools.wraps(command)
    def run(*arguments: object, **options: object) -> None:
        with interrupted_by_signals() as stopping:
            try:
                command(*arguments, **options)
            except BaseException as error:
                if stopping() or isinstance(error, KeyboardInterrupt):
                    number = getattr(error, "number", None) or stopping.number or signal.SIGINT
                    said, code = f"interrupted{WORDS_ON if goes_on else ''}", 128 + number
                elif isinstance(error, TomolensError | OSError):
                    said, code = one_line(str(error)), 2
                else:
                    raise
                typer.echo(f"tomolens: {said}", err=True)
                if options.get("as_json"):
                    last_line({"error": said, "exit": code})
                raise typer.Exit(code) from error

    return run


answered_and_resumed = functools.partial(answered, goes_on=True)


def one_line(text: str) -> str:
    """The text on one line, without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def last_line(content: Mapping[str, object]) -> None:
    """For programs: JSON on one line of standard output; what is not a number is null."""
    typer.echo(json.dumps(_plain(content), ensure_ascii=False, allow_nan=False))


def _plain(content: object) -> object:
    if isinstance(content, Mapping):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content
