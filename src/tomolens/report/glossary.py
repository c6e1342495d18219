"""Words that a reader may not know, each told where it first stands on the page."""

import re

from markupsafe import Markup, escape

from ..findings import Findings

TERMS = {
    "blind map": "A map that never looks at the network, as a blob in the middle of the image does. A map that does "
    "not beat it has told nothing about this network.",
    "blind baseline": "A map that never looks at the network and is measured in the same way, for other maps to beat.",
    "trust card": "All checks of one map in one line.",
    "twin": "The same image with the finding taken away or put in, and all else equal.",
    "interval": "Where the number would lie with other patients: patients are drawn again many times with replacement.",
    "BCa": "Bias-corrected and accelerated: the ends of an interval are moved for the bias and skewness of the draws.",
    "bootstrap": "Patients are drawn again many times; the spread of the numbers tells how sure one is.",
    "Holm": "A correction for many tests: the more maps are tried, the more sure each must be.",
    "Kendall": "Kendall's tau: 1 where two rankings are the same, 0 where they have nothing to do with each other, -1 "
    "where one is the other reversed.",
    "τ": "Kendall's tau: 1 where two rankings are the same, 0 unrelated, -1 reversed.",
    "W": "Kendall's W: 1 where all rankings are the same, 0 where they have nothing in common.",
    "Friedman": "A test of whether any map ranks higher than others over all patients.",
    "Nemenyi": "How far two mean ranks must lie apart to be told apart.",
    "XRAI": "A map made of whole regions: the image is cut into segments, and those that hold most of the map come "
    "first.",
    "masked": "Replaced by a fill, so that the network cannot see what was there.",
    "stratum": "A part of the cases, as those of one class.",
}
"""Each with its meaning in a sentence."""


def views_in_words(findings: Findings) -> dict[str, str]:
    """What each view asks, by its title: the first two sentences of what its metric says."""
    told = {view.judges.title: re.split(r"(?<=[.:;]) ", view.judges.text) for view in findings.views.values()}
    return {name: re.sub("[;:]$", ".", " ".join(sentences[:2])) for name, sentences in told.items() if sentences[0]}


class Glossary:
    """Marks each term where it first stands.

    Example:
        >>> told = Glossary({"W": "of ranks"})
        >>> print(told.mark("W of <all>, W"))
        <dfn tabindex="0" data-means="of ranks">W</dfn> of &lt;all&gt;, W
    """

    def __init__(self, terms: dict[str, str] | None = None) -> None:
        self.left = dict(TERMS if terms is None else terms)

    def mark(self, text: str) -> Markup:
        """The text, escaped, with a definition around the first of each term."""
        found, rest = Markup(), text
        while rest and self.left:
            pattern = "|".join(re.escape(term) for term in sorted(self.left, key=len, reverse=True))
            first = re.search(rf"(?<![\w-])({pattern})(?![\w-])", rest)
            if first is None:
                break
            means = self.left.pop(first.group())
            found += escape(rest[: first.start()])
            found += Markup('<dfn tabindex="0" data-means="{}">{}</dfn>').format(means, first.group())
            rest = rest[first.end() :]
        return found + escape(rest)
