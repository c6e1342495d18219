"""What a probe found."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "refused"]


@dataclass(frozen=True)
class Finding:
    """A line of the table of `model check`.

    Attributes:
        check: what was tried.
        found: in words, with numbers.
        state: ``ok``; ``note`` for what a user should know; ``refused`` where the network cannot be evaluated.
    """

    check: str
    found: str
    state: State = "ok"


def lines(findings: Sequence[Finding]) -> list[str]:
    """A table for a terminal, a finding a line."""
    width = max(len(one.check) for one in findings)
    marks = {"ok": "ok", "note": "note", "refused": "REFUSED"}
    return [f"{marks[one.state]:7}  {one.check:{width}}  {one.found}" for one in findings]
