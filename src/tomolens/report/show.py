"""A map over its image, for a notebook."""

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from ..errors import MapError
from ..results.gallery import to_look_at
from . import style

FOR_AND_AGAINST = LinearSegmentedColormap.from_list("against and for", ["#2454d6", "#2454d600", "#ffbe2800", "#ffbe28"])
"""0 is transparent; what speaks for the class is light and what speaks against it dark, so that grey tells them too."""


def show(
    image: Tensor | NDArray[np.floating],
    importance: Tensor | NDArray[np.floating],
    mask: Tensor | NDArray[np.bool_] | None = None,
    *,
    title: str = "",
) -> Figure:
    """One map over its image, with a colour bar; of a volume the slice that holds most of the map.

    Args:
        image: ``(C, *spatial)`` in [0, 1]; the first channel is drawn.
        importance: ``(C, *spatial)`` or ``(*spatial)``; channels are summed.
        mask: bool ``(*spatial)``, drawn as an outline.
        title: above it.

    Returns:
        A figure, which a notebook shows.

    Raises:
        MapError: shapes that do not fit, or a map that is not finite.

    Example:
        >>> tl.show(images[0], maps["smoothgrad"][0])   # doctest: +SKIP
    """
    shown, values = _array(image), _array(importance).astype(np.float64)
    spatial = shown.shape[1:]
    if shown.ndim not in (3, 4) or values.shape not in (shown.shape, spatial):
        raise MapError(
            f"a map of {values.shape} for an image of {shown.shape}: give one image (C, *spatial) of two or three "
            "dimensions and its map, as images[0] and maps[name][0]"
        )
    if not np.isfinite(values).all():
        raise MapError(f"importance map: {int((~np.isfinite(values)).sum())} values are not finite")
    values = values.sum(axis=0) if values.shape == shown.shape else values
    height = 0 if values.ndim == 2 else int(np.abs(values).sum(axis=(1, 2)).argmax())
    plane = to_look_at(values, height)
    limit = float(np.percentile(np.abs(plane), style.PERCENTILE)) or float(np.abs(plane).max()) or 1.0
    signed = bool((plane < 0).any())
    figure = style.figure(5.6, 4.8)
    axes = figure.subplots()
    style.bare(axes)
    axes.imshow(to_look_at(shown[0], height), cmap="gray", vmin=0, vmax=1)
    strength = None if signed else np.sqrt(np.clip(np.abs(plane) / limit, 0, 1))
    colours, low = (FOR_AND_AGAINST, -limit) if signed else (colormaps[style.MAGNITUDE], 0.0)
    drawn = axes.imshow(plane, cmap=colours, vmin=low, vmax=limit, alpha=strength, interpolation="nearest")
    if mask is not None:
        inside = _array(mask).astype(bool)
        if inside.shape != spatial:
            raise MapError(f"a mask of {inside.shape} for an image of {shown.shape}, expected {spatial}")
        axes.contour(to_look_at(inside, height).astype(float), levels=[0.5], colors=[style.OUTLINE], linewidths=0.9)
    label = "against the class (below 0), for it (above)" if signed else "importance"
    figure.colorbar(drawn, ax=axes, label=label, shrink=0.8)
    axes.set_title(title, fontsize=style.TITLE)
    return figure


def _array(given: Any) -> NDArray[Any]:
    return np.asarray(given.detach().cpu().numpy() if isinstance(given, Tensor) else given)
