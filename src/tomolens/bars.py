"""Progress bars for the command line: what runs, how far, how long still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from .progress import silent

WIDE = 110
"""Columns from which on there is room for notes beside the bars."""


@contextmanager
def bars(quiet: bool = False) -> Iterator[Callable[..., None]]:
    """A function ``progress(stage, done, total, note)`` that draws a bar for each stage on standard error.

    Where standard error is no terminal, each tenth of a stage is a line; where ``quiet``, nothing is drawn.
    """
    if quiet:
        yield silent
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    wide = console.width >= WIDE
    columns: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=30 if wide else 12),
        MofNCompleteColumn(),
        TextColumn("{task.fields[word]}", markup=False),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    if wide:
        columns.append(TextColumn("{task.fields[note]}", markup=False))
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as drawn:

        def progress(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = drawn.add_task(stage, total=total, note=note, word="left")
            word = "took" if done >= total else "left"
            drawn.update(tasks[stage], completed=done, total=total, note=note, word=word)

        yield progress


def _lines(console: Console) -> Callable[..., None]:
    announced: dict[str, int] = {}

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        tenth = 10 * done // max(total, 1)
        if announced.get(stage) != tenth:
            announced[stage] = tenth
            console.print(
                f"{stage}: {done} of {total} {note}".rstrip(),
                highlight=False,
                markup=False,
                emoji=False,
                soft_wrap=True,
            )

    return progress
