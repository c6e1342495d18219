"""Rank of each estimator under each option of the choices that matter."""

from matplotlib.figure import Figure

from ..findings import Findings
from ..findings.choices import OF_ORIGINAL, OWN
from ..findings.printing import title
from . import style

CAPTION = (
    "Rank of each estimator's absolute map by each view when one choice is changed and all others stay; the study's "
    "own as the large dot."
)


def choices_figure(findings: Findings) -> Figure:
    """One panel a view, one line an estimator, one mark an option, coloured and shaped by its choice."""
    table = findings.tables["choices"]
    table = table[table["choice"] != OF_ORIGINAL]  # ranked among other maps than all the rest
    views = [view for view in findings.views.values() if (table["view"] == view.column).any()]
    choices = [choice for choice in table["choice"].unique() if choice != OWN]
    looks = {choice: style.CHOICES[at % len(style.CHOICES)] for at, choice in enumerate(choices)}
    spread = {choice: 0.3 * (at / max(1, len(choices) - 1) - 0.5) for at, choice in enumerate(choices)}
    estimators = table["estimator"].nunique()
    figure = style.figure(3.1 * len(views) + 1.6, 0.5 * estimators + 1.7)
    panels = figure.subplots(1, len(views), sharey=False, squeeze=False)[0]
    for axes, view in zip(panels, views, strict=True):
        rows = table[table["view"] == view.column]
        own = rows[rows["choice"] == OWN].sort_values("rank", ascending=False)
        place = {estimator: at for at, estimator in enumerate(own["estimator"])}
        style.tidy(axes)
        for estimator, frame in rows.groupby("estimator", sort=False):
            ends, at = [frame["rank"].min(), frame["rank"].max()], place[str(estimator)]
            axes.plot(ends, [at, at], color=style.GUIDE, linewidth=4, solid_capstyle="round", zorder=1)
        for choice, frame in rows[rows["choice"] != OWN].groupby("choice", sort=False):
            colour, mark = looks[str(choice)]
            heights = [place[estimator] + spread[str(choice)] for estimator in frame["estimator"]]
            axes.scatter(frame["rank"], heights, s=20, color=colour, marker=mark, label=choice, zorder=2)
        axes.scatter(own["rank"], [place[name] for name in own["estimator"]], s=36, color="black", label=OWN, zorder=3)
        axes.set_yticks(range(len(place)), [title(findings, name) for name in place], fontsize=style.SMALL)
        axes.set_xticks(range(1, estimators + 1))
        axes.set_xlabel(f"rank by {view.judges.title}")
    style.legend(figure, panels, "lower", 5)
    return figure
