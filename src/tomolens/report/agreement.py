"""Figure of the model's view against all others: every map as a point with the intervals of both."""

from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.printing import judged
from . import style
from .series import best_blind, points_of, views_beside

CAPTION = (
    "Every map by {} (the model's view) and by each other view; bars are bootstrap intervals over patients, dashed "
    "lines the best blind baselines."
)


MANY = 16
"""Maps from which on they are told apart by numbers: no more colours and marks are."""


def agreement_figure(findings: Findings) -> Figure:
    """The model's view across, one panel for each other view; there must be both."""
    model, others = views_beside(findings)
    assert model is not None
    count = max(len(points_of(findings, model, view)) for view in others)
    figure = style.figure(5.4 * len(others) + 0.2, 5.0 + 0.06 * count)  # the legend has three names in a line
    panels = figure.subplots(1, len(others), squeeze=False)[0]
    for axes, view in zip(panels, others, strict=True):
        style.tidy(axes)
        points = points_of(findings, model, view)
        for number, point in enumerate(points, start=1):
            (x, left, right), (y, low, high), colour = point.across, point.up, point.look.colour
            axes.plot([left, right], [y, y], color=colour, linewidth=0.9, alpha=0.7)
            axes.plot([x, x], [low, high], color=colour, linewidth=0.9, alpha=0.7)
            filled, mark = "white" if point.key[1] == "original" else colour, style.FORM_MARKS[point.key[1]]
            looks = {"color": colour, "markerfacecolor": filled, "markersize": style.MARK, "zorder": 3}
            told = f"{number}  " if len(points) > MANY else ""
            axes.plot([x], [y], mark, label=f"{told}{point.label}", **looks)
            if told:
                axes.annotate(told.strip(), (x, y), (4, 3), textcoords="offset points", fontsize=6.5, zorder=4)
        for output, draw, label in ((model, axes.axvline, "best blind baseline"), (view, axes.axhline, None)):
            best = best_blind(findings, output)
            if best is not None:
                draw(best, color="black", linestyle="--", linewidth=1.0, label=label)
        axes.set_xlabel(f"{model.label} ({judged(model)})")
        axes.set_ylabel(f"{view.label}\n({judged(view)})")
    style.legend(figure, panels, "lower", 3)
    return figure
