"""Figures of example cases: the image, the mask, every map, and the top regions of every map."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..declarations import FORMS
from ..regions import top_regions
from ..results.description import Description
from ..results.example import Example
from ..results.gallery import height_to_look_at, projected, to_look_at
from . import style
from .channels import channels_of

MAPS = (
    "Importance maps of one case, as they are (where they have a sign, red speaks for the explained class and blue "
    "against it) and absolute; colours end at the 99th percentile of the absolute map."
)
REGIONS = (
    "The top 1 to 5 % of the region map (XRAI) of each estimator over the image, with the outline of the expert's mask."
)


def caption(words: str, example: Example, *, of_maps: bool) -> str:
    """The caption of a case's figure; of a volume it says what is shown of it.

    Args:
        words: what the figure shows.
        example: the case.
        of_maps: whether it shows importance maps, which are projected.
    """
    if example.image.ndim < 4:
        return words
    which = "the middle one" if example.mask is None or not example.mask.any() else "the one with most of its mask"
    height, count = height_to_look_at(example) + 1, example.image.shape[1]
    shown = f"{words} The case is a volume: slice {height} of {count} from the feet is shown, {which}"
    return f"{shown}, and of each map the largest value along the scan." if of_maps else f"{shown}."


def maps_figure(example: Example, description: Description) -> Figure:
    """Image and mask, then each estimator's map as it is (left, diverging) and absolute (right)."""
    names = list(dict.fromkeys(name for name, _ in example.maps))
    columns = 2 * min(4, len(names))
    rows = -(-2 * len(names) // columns)
    figure = style.figure(1.5 * (columns + 1) + 0.2, 1.75 * rows + 0.9)
    grid = figure.add_gridspec(rows + 1, columns + 1, height_ratios=[1.0] * rows + [0.06])
    half = max(1, rows // 2)
    _show_image(figure.add_subplot(grid[:half, 0]), example, with_mask=False)
    if rows > 1:
        _show_image(figure.add_subplot(grid[half:rows, 0]), example, with_mask=True)
    for place, name in enumerate(names):
        row, column = divmod(2 * place, columns)
        limit = float(np.percentile(np.abs(example.maps[name, "absolute"]), style.PERCENTILE)) or 1.0
        colours = (style.PRINTED_SIGNED, -limit), (style.PRINTED_MAGNITUDE, 0.0)
        for offset, (form, (cmap, low)) in enumerate(zip(FORMS, colours, strict=True)):
            axes = figure.add_subplot(grid[row, column + 1 + offset])
            style.bare(axes)
            axes.imshow(projected(example.maps[name, form]), cmap=cmap, vmin=low, vmax=limit, interpolation="nearest")
            axes.set_title(f"{description.titles.get(name, name)}\n{form}", fontsize=7)
    wide = columns // 2
    _colour_bars([figure.add_subplot(grid[rows, at : at + wide]) for at in (1, 1 + wide)], narrow=wide == 1)
    figure.suptitle(_heading(example, description), fontsize=style.TITLE)
    return figure


def _colour_bars(places: Sequence[Axes], *, narrow: bool) -> None:
    """What the colours of maps as they are and absolute mean; where they end is each map's own."""
    below, above = ("-", "+") if narrow else ("negative", "positive")
    signed = style.PRINTED_SIGNED, -1.0, (below, "0", above)
    magnitude = style.PRINTED_MAGNITUDE, 0.0, ("0", "+" if narrow else "99th percentile")
    for axes, (cmap, low, words) in zip(places, (signed, magnitude), strict=True):
        axes.imshow(np.linspace(low, 1.0, 256)[None], cmap=cmap, aspect="auto", extent=(low, 1.0, 0.0, 1.0))
        axes.set_xticks(np.linspace(low, 1.0, len(words)), words, fontsize=style.SMALL)
        labels = axes.get_xticklabels()
        labels[0].set_horizontalalignment("left")  # or the maps above make room for them
        labels[-1].set_horizontalalignment("right")
        axes.set_yticks([])
        axes.spines[:].set_visible(False)


def regions_figure(example: Example, description: Description) -> Figure:
    """The top 1 to 5 % of each region map over the image, with the mask's outline (the paper's Fig. 3)."""
    names, height = list(dict.fromkeys(name for name, _ in example.region_maps)), height_to_look_at(example)
    columns = min(8, len(names))
    bands = -(-len(names) // columns)
    figure = style.figure(1.6 * columns + 0.4, 3.7 * bands + 0.7)
    panels = figure.subplots(2 * bands, columns, squeeze=False)
    for axes in panels.flat:
        style.bare(axes)
    for place, name in enumerate(names):
        band, column = divmod(place, columns)
        for row, form in enumerate(FORMS):
            axes = panels[2 * band + row, column]
            axes.imshow(to_look_at(example.image[0], height), cmap="gray", vmin=0, vmax=1)
            for share, colour in style.TOP:
                region = to_look_at(top_regions(example.region_maps[name, form], share), height)
                axes.imshow(np.where(region, 1.0, np.nan), cmap=ListedColormap([colour]), alpha=0.85)
            _outline(axes, example)
            if row == 0:
                axes.set_title(description.titles.get(name, name), fontsize=style.SMALL)
            if column == 0:
                axes.set_ylabel(form, fontsize=style.TEXT)
    handles = [Patch(facecolor=colour, label=f"top {share} %") for share, colour in style.TOP]
    handles.append(Patch(facecolor="none", edgecolor=style.OUTLINE, label="expert's mask"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=style.TEXT)
    figure.suptitle(_heading(example, description), fontsize=style.TITLE)
    return figure


def _heading(example: Example, description: Description) -> str:
    """What the case is, and which of several channels stands for the image: the first."""
    classes = description.classes
    right = "" if example.label == example.predicted else f", predicted: {classes[example.predicted]}"
    first = channels_of(description)[0].name
    return f"Case {example.name}: {classes[example.label]}{right}{f' (image: {first})' if first else ''}"


def _show_image(axes: Axes, example: Example, with_mask: bool) -> None:
    style.bare(axes)
    height = height_to_look_at(example)
    axes.imshow(to_look_at(example.image[0], height), cmap="gray", vmin=0, vmax=1)
    if with_mask:
        _outline(axes, example)
    axes.set_title(
        ("image and mask" if example.mask is not None else "no mask") if with_mask else "image", fontsize=style.TEXT
    )


def _outline(axes: Axes, example: Example) -> None:
    if example.mask is not None and example.mask.any():
        outlined = to_look_at(example.mask, height_to_look_at(example)).astype(float)
        axes.contour(outlined, levels=[0.5], colors=[style.OUTLINE], linewidths=0.9)
