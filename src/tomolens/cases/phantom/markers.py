"""Markers that give the label away without any anatomy: shortcuts that a network may take."""

from typing import Literal

import numpy as np

from .drawing import Blob, Canvas
from .measures import Body

Marker = Literal["label", "port", "table"]
"""A letter in the corner, a venous port under the skin of the chest, or a metal rail at the table's edge."""

METAL = 2000.0


def plant(canvas: Canvas, body: Body, marker: Marker, random: np.random.Generator) -> None:
    """Paint a marker over both layers of a finished phantom."""
    if marker == "label":
        _paint_letter(canvas, random)
    elif marker == "port":
        side, height = float(random.uniform(0.42, 0.5)), float(random.uniform(6.0, 9.0))
        port = Blob(-side * body.wall_x, -0.86 * body.wall_y + height, 11.0, 7.0)
        with canvas.short(22.0, random):
            canvas.paint(port, METAL)
            canvas.paint(port.grown(-3.0), 300.0)
    else:
        rail = Blob(float(random.uniform(-4.0, 4.0)), body.flat.wall_y + body.fat + 16.0, 60.0, 3.5, power=6.0)
        canvas.paint(rail, METAL)


def _paint_letter(canvas: Canvas, random: np.random.Generator) -> None:
    """The letter R in a corner of the picture, upright whatever the patient's tilt, as scanners burn it in."""
    pixel = max(1, round(canvas.size / 64))
    letter = np.array([[1, 1, 1, 0], [1, 0, 0, 1], [1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 1]], dtype=bool)
    drawn = np.kron(letter, np.ones((pixel, pixel), dtype=bool))
    row, column = (int(value) for value in random.integers(2 * pixel, 4 * pixel, size=2))
    place = slice(row, row + drawn.shape[0]), slice(column, column + drawn.shape[1])
    for layer in canvas.hu:
        layer[(..., *place)][..., drawn] = METAL
