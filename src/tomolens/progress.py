"""How long-running steps tell what runs and how far it is."""

from typing import Protocol


class Progress(Protocol):
    """Told what runs and how far it is."""

    def __call__(self, stage: str, done: int, total: int, note: str = "") -> None:
        """``done`` of ``total`` steps of a stage are finished."""


def silent(stage: str, done: int, total: int, note: str = "") -> None:
    """Progress for nobody."""
