"""The anatomy of an axial chest slice or of a volume, drawn at random, from the scanner's table to the lung vessels.

Hounsfield units are those of textbooks: air -1000, lung -880..-780, fat -110..-85, muscle 45-65,
blood 35-50 without contrast agent, spongy bone 120-260, cortical bone 450-900.
"""

from dataclasses import replace

import numpy as np

from .drawing import Canvas, Coverage
from .measures import Body, draw_blood
from .thorax import paint_lungs, paint_mediastinum, paint_ribs, paint_spine, paint_table, paint_wall
from .vessels import paint_branches, paint_descending, paint_great_vessels, paint_heart, paint_lung_vessels


def paint(canvas: Canvas, body: Body, random: np.random.Generator) -> Coverage:
    """Paint one patient on the table, back to front; returns the lungs' coverage, under what lies over them."""
    blood = draw_blood(random)
    paint_table(canvas, body.flat, random)
    with canvas.of("chest wall"):
        paint_wall(canvas, body, random)
    with canvas.of("lungs"):
        lungs = paint_lungs(canvas, body, random)
    with canvas.of("lung vessels"):
        vessels = paint_lung_vessels if canvas.heights is None else paint_branches
        vessels(canvas, body, blood, lungs, random)
    with canvas.of("mediastinum"):
        paint_mediastinum(canvas, body, random)
    paint_spine(canvas, body, random)
    with canvas.of("bones"):
        paint_ribs(canvas, body, random)
    upper = canvas.below(body.level, 0.5)
    if np.any(upper):
        with canvas.of("great vessels"), canvas.shown(upper):
            paint_great_vessels(canvas, body, blood, random)
    if not np.all(upper):
        with canvas.of("heart"), canvas.shown(1.0 - upper):
            paint_heart(canvas, replace(body, level=np.maximum(body.level, 0.5)), blood, random)
    with canvas.of("great vessels"):
        paint_descending(canvas, body, blood, random)
    return lungs
