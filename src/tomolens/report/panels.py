"""Figures of example cases: the image, the mask, every map, and the top regions of every map."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..metrics.metric import SIGNS
from ..metrics.overlap import top_regions
from ..study.store import Example
from ..study.viewed import to_look_at
from . import style

TOP = (5, 4, 3, 2, 1)
"""Shares of the region map shown, in %, the widest first so that the others lie on it."""
TOP_COLOURS = tuple(colormaps["viridis"](value) for value in (0.25, 0.42, 0.6, 0.8, 1.0))


def maps_figure(example: Example, classes: Sequence[str]) -> Figure:
    """Image and mask, then each estimator's map as it is (left, diverging) and absolute (right)."""
    names = list(example.maps)
    columns = 2 * min(4, len(names))
    rows = -(-2 * len(names) // columns)
    figure = style.figure(1.5 * (columns + 1) + 0.2, 1.75 * rows + 0.5)
    grid = figure.add_gridspec(rows, columns + 1)
    half = max(1, rows // 2)
    _show_image(figure.add_subplot(grid[:half, 0]), example, with_mask=False)
    if rows > 1:
        _show_image(figure.add_subplot(grid[half:, 0]), example, with_mask=True)
    for place, name in enumerate(names):
        row, column = divmod(2 * place, columns)
        values = example.maps[name].sum(axis=0)
        magnitude = np.abs(example.maps[name]).sum(axis=0)
        limit = float(np.percentile(magnitude, style.PERCENTILE)) or 1.0
        for offset, (data, colours, low, signs) in enumerate(
            ((values, "RdBu_r", -limit, "original"), (magnitude, "magma", 0.0, "absolute"))
        ):
            axes = figure.add_subplot(grid[row, column + 1 + offset])
            style.bare(axes)
            axes.imshow(to_look_at(data), cmap=colours, vmin=low, vmax=limit, interpolation="nearest")
            axes.set_title(f"{style.title(name)}\n{signs}", fontsize=7)
    figure.suptitle(_caption(example, classes), fontsize=11)
    return figure


def regions_figure(example: Example, classes: Sequence[str]) -> Figure:
    """The top 1 to 5 % of each region map over the image, with the mask's outline (the paper's Fig. 3)."""
    names = list(dict.fromkeys(name for name, _ in example.region_maps))
    figure = style.figure(1.6 * len(names) + 0.4, 4.4)
    panels = figure.subplots(2, len(names), squeeze=False)
    for row, signs in enumerate(SIGNS):
        for column, name in enumerate(names):
            axes = panels[row, column]
            style.bare(axes)
            axes.imshow(to_look_at(example.image[0]), cmap="gray", vmin=0, vmax=1)
            for share, colour in zip(TOP, TOP_COLOURS, strict=True):
                region = top_regions(to_look_at(example.region_maps[name, signs]), share)
                axes.imshow(np.where(region, 1.0, np.nan), cmap=ListedColormap([colour]), alpha=0.85)
            _outline(axes, example)
            if row == 0:
                axes.set_title(style.title(name), fontsize=8)
            if column == 0:
                axes.set_ylabel(signs, fontsize=9)
    handles = [Patch(facecolor=colour, label=f"top {share} %") for share, colour in zip(TOP, TOP_COLOURS, strict=True)]
    handles.append(Patch(facecolor="none", edgecolor="#ff2fd6", label="expert's mask"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=9)
    figure.suptitle(_caption(example, classes), fontsize=11)
    return figure


def _caption(example: Example, classes: Sequence[str]) -> str:
    right = "" if example.label == example.predicted else f", predicted: {classes[example.predicted]}"
    return f"Case {example.name}: {classes[example.label]}{right}"


def _show_image(axes: Axes, example: Example, with_mask: bool) -> None:
    style.bare(axes)
    axes.imshow(to_look_at(example.image[0]), cmap="gray", vmin=0, vmax=1)
    if with_mask:
        _outline(axes, example)
    axes.set_title(("image and mask" if example.mask is not None else "no mask") if with_mask else "image", fontsize=9)


def _outline(axes: Axes, example: Example) -> None:
    if example.mask is not None and example.mask.any():
        axes.contour(to_look_at(example.mask).astype(float), levels=[0.5], colors=["#ff2fd6"], linewidths=0.9)
