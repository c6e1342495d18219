"""Chart of where the maps lie: a row a map, bars of its shares."""

from collections.abc import Iterable, Mapping

from markupsafe import Markup

from ..declarations import Breakdown
from ..findings import Findings
from .breakdowns import ACROSS, TICKS, Bar, across, lines_of, shown
from .drawn import Drawn, Panel
from .svg import Scale, element


def breakdown_chart(findings: Findings, breakdown: Breakdown) -> Drawn:
    """A row a map: bars of its shares, positive to the right and negative to the left."""
    found = shown(findings, breakdown)
    x = Scale(-100.0, 100.0)
    panels = []
    for label, bars in lines_of(findings, found):
        pieces = [piece for bar in bars for piece in _pieces(bar, found.parts, x)]
        pieces.append(element("line", x1="50%", x2="50%", y1=0, y2=20, class_="axis"))
        picture = element("svg", *pieces, class_="bars-drawing", width="100%", height=20, aria_hidden="true")
        says = "; ".join(
            f"{bar.sign + ' values, ' if bar.sign else ''}{part} {bar.words(part)}"
            for bar in bars
            for part in found.parts
        )
        estimator = bars[0].key[0] if bars and bars[0].key else ""
        panels.append(Panel(label, says, picture, estimator))
    legend = [("part", colour, part) for part, colour in found.parts.items()]
    return Drawn("bars", panels, ACROSS, "", legend, {"ticks": [abs(tick) for tick in TICKS]})


def _pieces(bar: Bar, parts: Mapping[str, str], x: Scale) -> Iterable[Markup]:
    start = 0.0
    for part in parts:
        length = across(bar, part)
        begin, end = sorted((x(start), x(start + length)))
        start += length
        if end > begin:
            told = element("title", f"{part}: {bar.words(part)}{f', {bar.sign} values' if bar.sign else ''}")
            place = {"x": f"{begin:g}%", "width": f"{end - begin:.2f}%", "y": 2, "height": 16}
            yield element("rect", told, fill=parts[part], **place)
