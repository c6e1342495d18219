"""Chart of metrics against metrics: a field for each two measures, as light as they have nothing in common."""

from collections.abc import Iterator

import numpy as np
from markupsafe import Markup

from ..findings import Findings
from .drawn import Drawn, Panel
from .metric_agreement import NUMBERED, Fields, metric_fields, tau_words
from .svg import element

SIDE, LEFT, TOP = 30, 250, 150
"""Of a field, and the room for names."""
TILT = -55
"""Of the names above, in degrees."""


def metric_chart(findings: Findings) -> Drawn | None:
    """None where there are too few measures."""
    if findings.tables["metrics"].empty:
        return None
    found = metric_fields(findings)
    count = len(found.names)
    drawn = [*_names(found), *_fields(found), *_clusters(found)]
    wide, high = LEFT + count * SIDE + 110, TOP + count * SIDE + 4
    box = f"0 0 {wide} {high}"
    picture = element("svg", *drawn, viewBox=box, class_="pairs-drawing", width=wide, aria_hidden="true")
    cells = [
        [f"τ = {tau:+.2f}" if not np.isnan(tau) else "not compared" for tau in found.taus[place, :place]]
        for place in range(count)
    ]
    data = {"names": list(found.names), "cells": cells, "corner": [LEFT, TOP], "size": SIDE}
    legend = [
        ("sign tau-plus", "", "the same order (τ towards 1)"),
        ("sign tau-minus", "", "reversed (τ towards −1)"),
    ]
    return Drawn("pairs", [Panel("", _says(found), picture)], "", "", legend, data)


def _says(found: Fields) -> str:
    """The clusters, and the two measures that part most."""
    groups = [
        [name for name, one in zip(found.names, found.clusters, strict=True) if one == cluster]
        for cluster in dict.fromkeys(found.clusters)
    ]
    alike = "; ".join(", ".join(group) for group in groups if len(group) > 1) or "none"
    words = f"{len(found.names)} measures. Alike: {alike}."
    if np.isnan(found.taus).all():
        return words
    one, other = divmod(int(np.nanargmin(found.taus)), len(found.names))
    return f"{words} Most apart: {found.names[one]} and {found.names[other]}, τ = {found.taus[one, other]:+.2f}."


def _names(found: Fields) -> Iterator[Markup]:
    for place, name in enumerate(found.names):
        x, y = LEFT + (place + 0.5) * SIDE, TOP + (place + 0.5) * SIDE
        yield element("text", name, x=LEFT - 8, y=y + 4, class_="name end")
        turned = f"translate({x + 4:g} {TOP - 8}) rotate({TILT})"
        yield element("text", name, transform=turned, class_="name")


def _fields(found: Fields) -> Iterator[Markup]:
    for row, column in np.ndindex(found.taus.shape):
        if row == column:
            continue
        tau = float(found.taus[row, column])
        x, y = LEFT + column * SIDE, TOP + row * SIDE
        known = {} if np.isnan(tau) else {"fill_opacity": f"{abs(tau):.2f}"}
        sign = "tau-none" if np.isnan(tau) else "tau-plus" if tau >= 0 else "tau-minus"
        yield element("rect", x=x, y=y, width=SIDE - 1, height=SIDE - 1, class_=sign, **known)
        short = tau_words(tau) if len(found.names) <= NUMBERED or np.isnan(tau) else "−" if tau <= -0.05 else ""
        if short:
            yield element("text", short, x=x + SIDE / 2, y=y + SIDE / 2 + 4, class_="tau middle")


def _clusters(found: Fields) -> Iterator[Markup]:
    """Lines between measures of different clusters."""
    count = len(found.names)
    for place in range(1, count):
        if found.clusters[place] != found.clusters[place - 1]:
            at, end = place * SIDE - 0.5, count * SIDE
            yield element("line", x1=LEFT + at, x2=LEFT + at, y1=TOP, y2=TOP + end, class_="axis")
            yield element("line", x1=LEFT, x2=LEFT + end, y1=TOP + at, y2=TOP + at, class_="axis")
