"""All but heart and vessels: table, skin, fat and muscle, lungs, mediastinal fat, spine, ribs and sternum."""

import numpy as np

from .drawing import Blob, Canvas, Coverage
from .measures import Body, waves


def paint_table(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """The scanner's table: one or two thin curved shells behind the back."""
    bend = random.uniform(0.0002, 0.0014)
    half_width = random.uniform(170, 230)
    top = body.wall_y + body.fat * 0.75 + random.uniform(5, 16)
    for offset in (0.0, random.uniform(14, 30))[: 1 + int(random.integers(0, 2))]:
        surface = top + offset - bend * np.square(canvas.x) + bend * 1500
        thickness = random.uniform(1.8, 3.4)
        coverage = np.clip(thickness / canvas.pixel - np.abs(canvas.y - surface) / canvas.pixel, 0, 1)
        coverage = coverage * (np.abs(canvas.x) < half_width)
        canvas.lay((slice(None), slice(None)), coverage.astype(np.float32), random.uniform(0, 260))


def paint_wall(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """Skin, subcutaneous fat, breasts with glandular tissue, and the muscles of the chest wall."""
    outline = waves(random, 0.012)
    fat_hu = random.uniform(-110, -92)
    outer = Blob(0, 1, body.wall_x + body.fat, body.wall_y + 0.75 * body.fat, 0.0, outline, 2.3)
    breasts = []
    if random.uniform() < 0.5:
        size = random.uniform(0.7, 1.2) * (18 + body.fat) * body.bust
        for side in (-1, 1):
            x = side * (0.52 * body.wall_x + random.normal(0, 3))
            y = -0.80 * body.wall_y - 0.35 * body.fat - 0.15 * size
            breasts.append(Blob(x, y, 1.45 * size, 0.95 * size, 0.5 * side, waves(random, 0.03)))
    for shape in (outer, *breasts):
        canvas.paint(shape, random.uniform(10, 40))
    for shape in (outer, *breasts):
        canvas.paint(shape.grown(-1.8), fat_hu)
    for breast in breasts:
        for _ in range(int(random.integers(2, 7))):
            x, y = breast.x + random.normal(0, 0.3) * breast.rx, breast.y + random.normal(0, 0.25) * breast.ry
            gland = Blob(x, y, random.uniform(2, 9), random.uniform(1, 3), random.uniform(0, 3), waves(random, 0.2))
            with canvas.short(14.0, random):
                canvas.paint(gland, random.uniform(0, 35))
    muscle = random.uniform(48, 62)
    canvas.paint(Blob(0, 0, body.wall_x, body.wall_y, 0.0, waves(random, 0.012), 2.3), muscle)
    for side in (-1, 1):  # pectoral muscles, the fat plane under them, the back's long muscles, latissimus
        canvas.paint(Blob(side * 0.45 * body.wall_x, -0.87 * body.wall_y, 0.34 * body.wall_x, 5, side * 0.36), fat_hu)
        canvas.paint(
            Blob(side * 0.47 * body.wall_x, -0.93 * body.wall_y, 0.33 * body.wall_x, random.uniform(4, 9), side * 0.36),
            muscle,
        )
        canvas.paint(Blob(side * 0.88 * body.wall_x, 0.35 * body.wall_y, 3, 0.3 * body.wall_y, side * 0.35), fat_hu)
        canvas.paint(
            Blob(side * 0.22 * body.wall_x, 0.99 * body.wall_y, 0.2 * body.wall_x, 0.13 * body.wall_y, side * -0.1),
            muscle,
        )
        canvas.paint(Blob(side * 0.55 * body.wall_x, 0.86 * body.wall_y, 0.22 * body.wall_x, 2.0, side * -0.55), fat_hu)


def paint_lungs(canvas: Canvas, body: Body, random: np.random.Generator) -> Coverage:
    """Both lungs with their density falling from back to front; returns their coverage of the canvas."""
    density = random.uniform(-880, -800)
    lungs = np.zeros(canvas.shape, dtype=np.float32)
    everywhere = (slice(None), slice(None))
    chest = Blob(0, 0, body.lung_x, body.lung_y, 0.0, waves(random, 0.015), 2.35)
    _, coverage = canvas.coverage(chest, everywhere)
    for side in (-1, 1):
        inner = 0.10 * body.lung_x + random.uniform(0, 4)
        half = np.clip((side * canvas.x - inner) / canvas.pixel + 0.5, 0, 1)
        lungs = np.maximum(lungs, coverage * half)
    gradient = density + 40 * canvas.y / body.lung_y
    canvas.lay(everywhere, lungs, gradient.astype(np.float32))
    return lungs


def paint_mediastinum(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """The fat between the lungs, in which heart and vessels lie, with small lymph nodes."""
    fat = random.uniform(-105, -80)
    width = np.interp(body.level, [0, 0.5, 0.52, 1], [0.30, 0.33, 0.42, 0.50]) * body.lung_x
    centre = body.heart_x * np.interp(body.level, [0, 1], [0.2, 1.6])
    canvas.paint(Blob(centre, body.heart_y, width, 0.52 * body.lung_y, 0.15, waves(random, 0.05)), fat)
    canvas.paint(Blob(0.3 * centre, -0.72 * body.lung_y, 0.17 * body.lung_x, 0.30 * body.lung_y), fat)
    canvas.paint(Blob(0, 0.55 * body.lung_y, 0.20 * body.lung_x, 0.55 * body.lung_y), fat)
    for _ in range(int(random.integers(2, 7))):
        node = Blob(
            centre + random.normal(0, 0.2) * body.lung_x,
            body.heart_y + random.uniform(-0.2, 0.45) * body.lung_y,
            random.uniform(1.5, 4),
            random.uniform(1.5, 3.5),
        )
        with canvas.short(6.0, random):
            canvas.paint(node, random.uniform(20, 45))


def paint_spine(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """A vertebra: body, pedicles, laminae, processes, and the canal with its cord."""
    s, y = body.scale, body.spine_y
    cortex, spongy = random.uniform(430, 650), random.uniform(130, 240)
    muscle = random.uniform(48, 60)
    with canvas.of("chest wall"):
        canvas.paint(Blob(0, y + 28 * s, 50 * s, 24 * s, 0.0, (), 3.0), muscle)
    with canvas.of("bones"):
        vertebra = Blob(0, y, 17.5 * s, 14 * s, 0.0, ((2, 0.04, 0.0), (3, 0.03, np.pi / 2)))
        for side in (-1, 1):
            process = Blob(side * 23 * s, y + 19 * s, 16 * s, 4.2 * s, side * 0.45)
            canvas.paint(process, cortex)
            canvas.paint(process.grown(-1.8), spongy)
            canvas.paint(Blob(side * 10.5 * s, y + 16 * s, 4.5 * s, 9 * s), cortex)
            canvas.paint(Blob(side * 7 * s, y + 29 * s, 3.2 * s, 10 * s, side * 0.75), cortex)
        canvas.paint(Blob(0, y + 39 * s, 3.2 * s, 12 * s), cortex)
        canvas.paint(Blob(0, y + 39 * s, 1.4 * s, 10 * s), spongy)
        canvas.paint(vertebra, cortex)
        canvas.paint(vertebra.grown(-2.0), spongy)
    with canvas.of("spinal canal"):
        canvas.paint(Blob(0, y + 19.5 * s, 8.5 * s, 7.5 * s), random.uniform(-20, 10))
        canvas.paint(Blob(0, y + 19.5 * s, 5.0 * s, 4.2 * s), random.uniform(30, 42))


def paint_ribs(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """Ribs cut obliquely along the chest wall, the sternum, and at high levels the shoulder blades."""
    cortex, spongy = random.uniform(520, 850), random.uniform(140, 280)
    bones: list[Blob] = []
    blades: list[Blob] = []
    high = canvas.below(body.level, 0.45)
    count = int(random.integers(5, 8))
    for side in (-1, 1):
        for index in range(count):
            angle = -1.05 + 2.15 * ((index + random.uniform(0.2, 0.8) + body.ribs) % count) / count
            x = side * (body.lung_x + 4.5) * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.87
            y = (body.lung_y + 4.5) * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.87
            along = np.arctan2(body.lung_y * np.cos(angle), -side * body.lung_x * np.sin(angle))
            bones.append(Blob(x, y, random.uniform(6, 15), random.uniform(3.0, 4.4), along))
        if np.any(high):
            x, y = side * 0.80 * body.wall_x, 0.74 * body.wall_y
            blades.append(Blob(x, y, random.uniform(18, 32), random.uniform(2.4, 4.0), side * -0.75))
            bones.append(blades[-1])
    sternum = Blob(random.normal(0, 2), -body.lung_y - 3.5, random.uniform(14, 22), random.uniform(5, 7))
    for bone in (*bones, sternum):
        with canvas.shown(high if any(bone is blade for blade in blades) else 1.0):
            canvas.paint(bone, cortex)
            canvas.paint(bone.grown(-1.5), spongy)
