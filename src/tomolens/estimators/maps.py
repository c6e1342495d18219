"""Maps by their estimators' names, which a notebook shows as pictures."""

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Stack = TypeVar("Stack", Tensor, NDArray[np.floating])
MOST, SIDE = 6, 128
"""Images of which maps are shown, and the pixels of a picture's longer side."""
POSITIVE, NEGATIVE = np.array([213, 94, 0]), np.array([0, 90, 181])
"""What speaks for the class and against it, told apart with every kind of colour vision; 0 is white."""
LIMIT = 99.0
"""Percentile of the magnitude where colours end."""


class Maps(dict[str, Stack]):
    """A dict of each estimator's maps, ``(N, C, *spatial)``, as `explain` gives it.

    A notebook shows it as a table of pictures: channels summed, of volumes the middle slice, each map on a scale of its
    own. Of a map with values that are NaN or infinite it says so instead.
    """

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><th>{escape(name)}</th>{''.join(_cells(stack))}</tr>" for name, stack in self.items())
        count = max((len(stack) for stack in self.values()), default=0)
        more = f"; the first {MOST} of {count} images" if count > MOST else ""
        return (
            f"<table>{rows}</table><small>Orange speaks for the explained class, blue against it; each map to the "
            f"{LIMIT:.0f}th percentile of its own magnitude{more}.</small>"
        )


def _cells(stack: Tensor | NDArray[np.floating]) -> Iterator[str]:
    for one in stack[:MOST]:
        values = one.detach().cpu().double().numpy() if isinstance(one, Tensor) else np.asarray(one, dtype=np.float64)
        finite = np.isfinite(values)
        if not finite.all():
            yield f"<td>{finite.size - finite.sum()} of {finite.size} values are NaN or infinite: no picture</td>"
            continue
        yield f'<td><img alt="map" src="data:image/png;base64,{base64.b64encode(picture(values)).decode()}"></td>'


def picture(importance: NDArray[np.floating]) -> bytes:
    """A map ``(C, *spatial)`` as PNG: white is 0, orange positive and blue negative."""
    plane = importance.sum(axis=0)
    while plane.ndim > 2:
        plane = plane[len(plane) // 2]
    limit = float(np.percentile(np.abs(plane), LIMIT)) or float(np.abs(plane).max()) or 1.0
    size = np.clip(np.abs(plane) / limit, 0.0, 1.0)[..., None]
    colours = np.where(plane[..., None] > 0, POSITIVE, NEGATIVE)
    shown = Image.fromarray(np.round(255 + size * (colours - 255)).astype(np.uint8))
    zoom = max(1, SIDE // max(plane.shape))
    shown = shown.resize((zoom * plane.shape[1], zoom * plane.shape[0]), Image.Resampling.NEAREST)
    shown.thumbnail((2 * SIDE, 2 * SIDE))
    content = io.BytesIO()
    shown.save(content, "png")
    return content.getvalue()
