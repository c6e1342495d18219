"""Rank of each estimator under each option of the choices that matter."""

from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.choices import OF_ORIGINAL, OWN
from ..findings.views import VIEWS
from . import style

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#882255", "#999933")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


def choices_figure(findings: Findings) -> Figure:
    """One panel a view, one line an estimator, one mark an option, coloured and shaped by its choice."""
    table = findings.tables["choices"]
    table = table[table["choice"] != OF_ORIGINAL]  # ranked among other maps than all the rest
    views = [view for view in VIEWS.values() if (table["view"] == view.name).any()]
    choices = [choice for choice in table["choice"].unique() if choice != OWN]
    looks = {choice: (COLOURS[at % len(COLOURS)], MARKERS[at % len(MARKERS)]) for at, choice in enumerate(choices)}
    estimators = table["estimator"].nunique()
    figure = style.figure(3.1 * len(views) + 1.6, 0.5 * estimators + 1.7)
    panels = figure.subplots(1, len(views), sharey=False, squeeze=False)[0]
    for axes, view in zip(panels, views, strict=True):
        rows = table[table["view"] == view.name]
        own = rows[rows["choice"] == OWN].sort_values("rank", ascending=False)
        place = {estimator: at for at, estimator in enumerate(own["estimator"])}
        style.tidy(axes)
        for estimator, frame in rows.groupby("estimator", sort=False):
            ends = [frame["rank"].min(), frame["rank"].max()]
            axes.plot(ends, [place[str(estimator)]] * 2, color="#bbbbbb", linewidth=4, solid_capstyle="round", zorder=1)
        spread = {choice: 0.3 * (at / max(1, len(choices) - 1) - 0.5) for at, choice in enumerate(choices)}
        for choice, frame in rows[rows["choice"] != OWN].groupby("choice", sort=False):
            colour, marker = looks[str(choice)]
            heights = [place[estimator] + spread[str(choice)] for estimator in frame["estimator"]]
            axes.scatter(frame["rank"], heights, s=20, color=colour, marker=marker, label=choice, zorder=2)
        axes.scatter(own["rank"], [place[name] for name in own["estimator"]], s=36, color="black", label=OWN, zorder=3)
        names = [style.title(name) for name in place]
        axes.set_yticks(range(len(place)), names if len(names) else [], fontsize=8)
        axes.set_xticks(range(1, estimators + 1))
        axes.set_xlabel(f"rank by {view.title}")
    found = {label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    return figure
