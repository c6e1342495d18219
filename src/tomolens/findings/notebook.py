"""The findings as a notebook shows them: the verdict, and what was checked of each map."""

from html import escape
from typing import TYPE_CHECKING

from .printing import map_title
from .verdict import QUESTIONS

if TYPE_CHECKING:
    from .findings import Findings

SIGNS = {"passed": "✓ passed", "failed": "✕ failed", "not assessed": "– not assessed"}
"""Of a check, in words and in a sign, and in no colour alone."""


def as_html(findings: "Findings") -> str:
    """The verdict's sentences and a row of checks for each estimator, escaped."""
    verdict = findings.verdict
    said = "".join(f"<p>{escape(text)}</p>" for text in (*verdict.reasons, *verdict.next_steps))
    asked = [name for name in QUESTIONS if any(card.state(name) != "not assessed" for card in verdict.cards)]
    heading = "".join(f'<th title="{escape(QUESTIONS[name])}">{escape(name)}</th>' for name in asked)
    rows = "".join(
        f"<tr><th>{escape(map_title(findings, *card.key))}</th><td>{'yes' if card.believed else 'no'}</td>"
        f"{''.join(f'<td>{SIGNS[card.state(name)]}</td>' for name in asked)}</tr>"
        for card in verdict.cards
    )
    table = f"<table><tr><th>map</th><th>to be believed</th>{heading}</tr>{rows}</table>" if rows else ""
    return (
        f"<p><strong>{escape(verdict.sentence)}</strong></p>{said}{table}<small>{escape(str(findings.folder))}</small>"
    )
