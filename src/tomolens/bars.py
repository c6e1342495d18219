"""Progress bars for the command line: what runs, how far, how long still."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


@contextmanager
def bars() -> Iterator[Callable[..., None]]:
    """A function ``progress(stage, done, total, note)`` that draws a bar for each stage on standard error.

    Where standard error is no terminal, each stage is a line when it begins and one when it ends.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:<38}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console) as drawn:

        def progress(stage: str, done: int, total: int, note: str = "") -> None:
            if stage not in tasks:
                tasks[stage] = drawn.add_task(stage, total=total, note=note)
            drawn.update(tasks[stage], completed=done, total=total, note=note)

        yield progress


def _lines(console: Console) -> Callable[..., None]:
    announced: dict[str, int] = {}

    def progress(stage: str, done: int, total: int, note: str = "") -> None:
        tenth = 10 * done // max(total, 1)
        if announced.get(stage) != tenth:
            announced[stage] = tenth
            console.print(f"{stage}: {done} of {total} {note}".rstrip(), highlight=False, soft_wrap=True)

    return progress
