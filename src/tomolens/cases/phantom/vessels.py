"""The blood pool: lung vessels, great vessels or heart by level, descending aorta; and the oesophagus beside it."""

import numpy as np

from .drawing import Blob, Canvas, Coverage
from .measures import Blood, Body, waves

HALF_LENGTHS = (10.0, 35.0)
"""mm of height by which half of a vessel of the lungs rises."""
MEAN_HALF = 22.5


def paint_lung_vessels(canvas: Canvas, body: Body, blood: Blood, lungs: Coverage, random: np.random.Generator) -> None:
    """Vessels of the lungs, thicker and denser towards the hila, some running in the slice."""
    for _ in range(int(random.integers(70, 110))):
        side = random.choice((-1, 1))
        depth = random.beta(1.1, 1.5)
        angle = random.uniform(-1.5, 1.5)
        hilum_x, hilum_y = side * 0.30 * body.lung_x, body.heart_y + 0.25 * body.lung_y
        x = hilum_x + side * depth * 0.72 * body.lung_x * np.cos(angle)
        y = hilum_y + depth * 0.95 * body.lung_y * np.sin(angle)
        radius = (3.4 * (1 - depth) ** 1.5 + 0.7) * random.uniform(0.6, 1.2)
        stretch = 1 + random.gamma(1.0, 0.9)
        direction = np.arctan2(y - hilum_y, x - hilum_x) + random.normal(0, 0.3)
        level = blood.right if random.uniform() < 0.5 else blood.left
        vessel = Blob(x, y, radius * stretch, radius, direction)
        canvas.paint(vessel, blood.plain, level, blood=True, clip=lungs)


def paint_branches(canvas: Canvas, body: Body, blood: Blood, lungs: Coverage, random: np.random.Generator) -> None:
    """The same vessels of the lungs in a volume: tubes that run outwards from the hila, up or down, and taper.

    As many cross a slice as there are in one that is drawn alone.
    """
    assert canvas.heights is not None
    heights = canvas.heights
    extent = float(heights[-1] - heights[0])
    for _ in range(int(random.integers(70, 110) * (1.0 + extent / (2 * MEAN_HALF)))):
        side = random.choice((-1, 1))
        depth, angle = random.beta(1.1, 1.5), random.uniform(-1.5, 1.5)
        middle, half = random.uniform(heights[0] - MEAN_HALF, heights[-1] + MEAN_HALF), random.uniform(*HALF_LENGTHS)
        slope, turn = random.normal(0, 0.9), random.normal(0, 0.3)
        radius = (3.4 * (1 - depth) ** 1.5 + 0.7) * random.uniform(0.6, 1.2)
        level = blood.right if random.uniform() < 0.5 else blood.left
        inside = np.flatnonzero(np.abs(heights - middle) < half)
        if not len(inside):
            continue
        where = slice(int(inside[0]), int(inside[-1]) + 1)
        rise = (heights[where] - middle).reshape(-1, 1, 1)
        lung_x, lung_y = body.lung_x[where], body.lung_y[where]
        hilum_x, hilum_y = side * 0.30 * lung_x, body.heart_y[where] + 0.25 * lung_y
        x = hilum_x + side * depth * 0.72 * lung_x * np.cos(angle)
        y = hilum_y + depth * 0.95 * lung_y * np.sin(angle)
        direction = float(np.arctan2(np.mean(y - hilum_y), np.mean(x - hilum_x))) + turn
        x, y = x + slope * rise * np.cos(direction), y + slope * rise * np.sin(direction)
        thick = np.maximum(radius * np.sqrt(1.0 - np.square(rise / half)), 0.05)
        vessel = Blob(x, y, thick * float(np.hypot(1.0, slope)), thick, direction)
        canvas.paint(vessel, blood.plain, level, blood=True, clip=lungs, slices=where)


def paint_great_vessels(canvas: Canvas, body: Body, blood: Blood, random: np.random.Generator) -> None:
    """The level of the pulmonary trunk: trunk and its branches, ascending aorta, superior vena cava, bronchi."""
    s, x0, y0 = body.scale, body.heart_x - 6, body.heart_y
    trunk = (x0 + 17 * s, y0 - 12 * s)
    low = 1.0 - canvas.below(body.level, 0.25)
    right_end = (x0 - random.uniform(42, 54) * s, y0 + random.uniform(8, 16) * s)
    canvas.paint_tube(
        [trunk, (x0 + 4 * s, y0 + 9 * s), (x0 - 22 * s, y0 + 11 * s), right_end],
        random.uniform(7.5, 10) * s * (0.8 + 0.4 * low),
        blood.plain,
        blood.right,
        blood=True,
    )
    canvas.paint_tube(
        [trunk, (x0 + 30 * s, y0 + 6 * s), (x0 + random.uniform(40, 50) * s, y0 + 20 * s)],
        random.uniform(7.5, 10) * s,
        blood.plain,
        blood.right,
        blood=True,
    )
    canvas.paint(
        Blob(*trunk, 14.5 * s, random.uniform(14, 19) * s, 0.4, waves(random, 0.04)),
        blood.plain,
        blood.right,
        blood=True,
    )
    for side in (-1, 1):  # upper lobe veins before the hila
        vein = Blob(x0 + side * random.uniform(38, 48) * s, y0 - random.uniform(2, 14) * s, 8 * s, 4.5 * s, side * 0.7)
        canvas.paint(vein, blood.plain, blood.left, blood=True)
        bronchus = (x0 + 4 + side * random.uniform(13, 18) * s, y0 + random.uniform(25, 31) * s)
        with canvas.of("mediastinum"):
            canvas.paint(Blob(*bronchus, 8.0 * s, 6.5 * s, side * 0.5), 20)
            canvas.paint(Blob(*bronchus, 6.5 * s, 5.0 * s, side * 0.5), -980)
    canvas.paint(Blob(x0 - 15 * s, y0 - 11 * s, 17.5 * s, 16 * s, 0.2, waves(random, 0.04)), 45)
    canvas.paint(
        Blob(x0 - 15 * s, y0 - 11 * s, 16.5 * s, 15 * s, 0.2, waves(random, 0.04)), blood.plain, blood.left, blood=True
    )
    cava = Blob(x0 - 38 * s, y0 - 2 * s, random.uniform(7, 10) * s, random.uniform(8, 11) * s, 0.2)
    canvas.paint(cava, blood.plain, blood.veins, blood=True)


def paint_heart(canvas: Canvas, body: Body, blood: Blood, random: np.random.Generator) -> None:
    """The heart from the aortic root (level 0.5) to the four chambers (1), in its pericardial fat."""
    s, x0, y0 = body.scale * random.uniform(0.92, 1.08), body.heart_x, body.heart_y
    depth = (body.level - 0.5) / 0.5
    muscle = (blood.myocardium_plain, blood.myocardium)
    swing = random.normal(0, 0.08)

    def chamber(x: float, y: float, rx: float, ry: float, angle: float, level: float) -> None:
        shape = Blob(x0 + x * s, y0 + y * s, rx * s, ry * s, angle + swing, waves(random, 0.07))
        canvas.paint(shape.grown(1.6), *muscle)
        canvas.paint(shape, blood.plain, level, blood=True)

    for side in (-1, 1):  # lower lobe veins entering the left atrium
        canvas.paint_tube(
            [(x0 + 4, y0 + 26 * s), (x0 + 4 + side * 34 * s, y0 + random.uniform(26, 36) * s)],
            random.uniform(4, 6) * s,
            blood.plain,
            blood.left,
            blood=True,
        )
    chamber(4, 24, 27, 13 + 3 * depth, 0.05, blood.left)  # left atrium
    chamber(-32, -1, 15 + 4 * depth, 21 + 4 * depth, 0.1, blood.right)  # right atrium
    left_x, left_y = 26 + 10 * depth, -2 + 6 * depth
    ventricle = Blob(
        x0 + left_x * s, y0 + left_y * s, (20 + 14 * depth) * s, (20 + 5 * depth) * s, 0.55 + swing, waves(random, 0.04)
    )
    canvas.paint(ventricle, *muscle)
    canvas.paint(ventricle.grown(-random.uniform(8, 11) * s), blood.plain, blood.left, blood=True)
    chamber(4 + 4 * depth, -23 + 3 * depth, 24 + 8 * depth, 12 + 4 * depth, 0.25, blood.right)  # right ventricle
    root = canvas.below(depth, 0.45)
    if np.any(root):
        with canvas.shown(root):
            canvas.paint(Blob(x0 - 6 * s, y0 - 1 * s, 15 * s, 14 * s, 0.0, waves(random, 0.05)).grown(1.4), *muscle)
            aorta = Blob(x0 - 6 * s, y0 - 1 * s, 15 * s, 14 * s, 0.0, waves(random, 0.05))
            canvas.paint(aorta, blood.plain, blood.left, blood=True)
    if not np.all(root):
        cava = Blob(x0 - 42 * s, y0 + 20 * s, 11 * s, 9 * s)
        with canvas.shown(1.0 - root):
            canvas.paint(cava, blood.plain, 0.5 * (blood.right + blood.plain), blood=True)


def paint_descending(canvas: Canvas, body: Body, blood: Blood, random: np.random.Generator) -> None:
    """Descending aorta beside the spine, azygos vein and oesophagus."""
    s = body.scale
    radius = random.uniform(10, 13.5) * s
    x, y = random.uniform(17, 23) * s, body.spine_y - random.uniform(13, 18) * s
    canvas.paint(Blob(x, y, radius + 1.2, radius + 1.2), 42)
    canvas.paint(Blob(x, y, radius, radius * random.uniform(0.95, 1.05)), blood.plain, blood.left, blood=True)
    canvas.paint(Blob(-7 * s, body.spine_y - 17 * s, 3.6 * s, 3.2 * s), blood.plain, blood.veins, blood=True)
    oesophagus = (random.uniform(-1, 5) * s, body.spine_y - random.uniform(25, 29) * s)
    with canvas.of("mediastinum"):
        canvas.paint(Blob(*oesophagus, 8 * s, 4.5 * s), random.uniform(25, 40))
        if random.uniform() < 0.4:
            canvas.paint(Blob(*oesophagus, 2.2 * s, 1.4 * s), -700)
