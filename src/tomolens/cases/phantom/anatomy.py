"""The anatomy of an axial chest slice, drawn at random, from the scanner's table to the lung vessels.

Hounsfield units are those of textbooks: air -1000, lung -880..-780, fat -110..-85, muscle 45-65,
blood 35-50 without contrast agent, spongy bone 120-260, cortical bone 450-900. Lengths are in mm;
x runs to the patient's left (the right of the picture), y to the back.
"""

from dataclasses import dataclass

import numpy as np

from .drawing import Blob, Canvas, Coverage


@dataclass(frozen=True)
class Blood:
    """HU of each blood compartment with contrast agent, and of all blood without."""

    plain: float
    veins: float
    right: float
    left: float
    myocardium: float
    myocardium_plain: float


def draw_blood(random: np.random.Generator) -> Blood:
    """An early (right heart bright), arterial (aorta bright) or venous (all alike) phase, 150-400 HU."""
    delay = random.uniform(0.0, 1.0)
    peak = random.uniform(280.0, 390.0)
    venous = random.uniform(150.0, 190.0)
    right = np.interp(delay, [0.0, 0.35, 1.0], [peak, 0.75 * peak, venous])
    left = np.interp(delay, [0.0, 0.35, 0.6, 1.0], [0.6 * peak, 0.95 * peak, 0.85 * peak, venous])
    veins = np.interp(delay, [0.0, 0.4, 1.0], [400.0, 0.9 * peak, venous])
    plain = random.uniform(35.0, 50.0)
    bounded = [float(np.clip(value, 150.0, 400.0)) for value in (veins, right, left)]
    return Blood(plain, bounded[0], bounded[1], bounded[2], random.uniform(75, 110), plain + random.uniform(0, 6))


@dataclass(frozen=True)
class Body:
    """Measures that the parts share; ``level`` is 0 at the pulmonary trunk and 1 at the four chambers."""

    level: float
    lung_x: float
    lung_y: float
    fat: float
    muscle: float
    scale: float
    heart_x: float
    heart_y: float
    spine_y: float

    @property
    def wall_x(self) -> float:
        """Half width of the body at the muscles' outer border."""
        return self.lung_x + 9 + self.muscle

    @property
    def wall_y(self) -> float:
        """Half depth of the body at the muscles' outer border."""
        return self.lung_y + 8 + 0.7 * self.muscle


def draw_body(random: np.random.Generator) -> Body:
    """Random measures of one patient at one level."""
    scale = random.uniform(0.9, 1.1)
    lung_x = scale * random.uniform(118, 136)
    lung_y = scale * random.uniform(82, 98)
    return Body(
        level=random.uniform(0.0, 1.0),
        lung_x=lung_x,
        lung_y=lung_y,
        fat=random.gamma(3.0, 4.5) + 5,
        muscle=random.uniform(7, 16),
        scale=scale,
        heart_x=scale * random.uniform(4, 12),
        heart_y=-0.22 * lung_y + random.uniform(-5, 5),
        spine_y=0.80 * lung_y,
    )


def waves(random: np.random.Generator, amplitude: float) -> tuple[tuple[int, float, float], ...]:
    """Random harmonics for an organic outline, higher orders weaker."""
    return tuple((n, random.normal() * amplitude / n, random.uniform(0, 2 * np.pi)) for n in (2, 3, 4, 5))


def paint(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """Paint one patient on the table, back to front."""
    blood = draw_blood(random)
    paint_table(canvas, body, random)
    paint_wall(canvas, body, random)
    lungs = paint_lungs(canvas, body, random)
    paint_lung_vessels(canvas, body, blood, lungs, random)
    paint_mediastinum(canvas, body, random)
    paint_spine(canvas, body, random)
    paint_ribs(canvas, body, random)
    if body.level < 0.5:
        paint_great_vessels(canvas, body, blood, random)
    else:
        paint_heart(canvas, body, blood, random)
    paint_descending(canvas, body, blood, random)


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
        size = random.uniform(0.7, 1.2) * (18 + body.fat)
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
    lungs = np.zeros((canvas.size, canvas.size), dtype=np.float32)
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
        canvas.paint(node, random.uniform(20, 45))


def paint_spine(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """A vertebra: body, pedicles, laminae, processes, and the canal with its cord."""
    s, y = body.scale, body.spine_y
    cortex, spongy = random.uniform(430, 650), random.uniform(130, 240)
    muscle = random.uniform(48, 60)
    canvas.paint(Blob(0, y + 28 * s, 50 * s, 24 * s, 0.0, (), 3.0), muscle)
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
    canvas.paint(Blob(0, y + 19.5 * s, 8.5 * s, 7.5 * s), random.uniform(-20, 10))
    canvas.paint(Blob(0, y + 19.5 * s, 5.0 * s, 4.2 * s), random.uniform(30, 42))


def paint_ribs(canvas: Canvas, body: Body, random: np.random.Generator) -> None:
    """Ribs cut obliquely along the chest wall, the sternum, and at high levels the shoulder blades."""
    cortex, spongy = random.uniform(520, 850), random.uniform(140, 280)
    bones = []
    count = int(random.integers(5, 8))
    for side in (-1, 1):
        for index in range(count):
            angle = -1.05 + 2.15 * (index + random.uniform(0.2, 0.8)) / count
            x = side * (body.lung_x + 4.5) * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.87
            y = (body.lung_y + 4.5) * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.87
            along = np.arctan2(body.lung_y * np.cos(angle), -side * body.lung_x * np.sin(angle))
            bones.append(Blob(x, y, random.uniform(6, 15), random.uniform(3.0, 4.4), along))
        if body.level < 0.45:
            x, y = side * 0.80 * body.wall_x, 0.74 * body.wall_y
            bones.append(Blob(x, y, random.uniform(18, 32), random.uniform(2.4, 4.0), side * -0.75))
    sternum = Blob(random.normal(0, 2), -body.lung_y - 3.5, random.uniform(14, 22), random.uniform(5, 7))
    for bone in (*bones, sternum):
        canvas.paint(bone, cortex)
        canvas.paint(bone.grown(-1.5), spongy)


def paint_great_vessels(canvas: Canvas, body: Body, blood: Blood, random: np.random.Generator) -> None:
    """The level of the pulmonary trunk: trunk and its branches, ascending aorta, superior vena cava, bronchi."""
    s, x0, y0 = body.scale, body.heart_x - 6, body.heart_y
    trunk = (x0 + 17 * s, y0 - 12 * s)
    low = body.level > 0.25
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
    if depth < 0.45:
        canvas.paint(Blob(x0 - 6 * s, y0 - 1 * s, 15 * s, 14 * s, 0.0, waves(random, 0.05)).grown(1.4), *muscle)
        canvas.paint(
            Blob(x0 - 6 * s, y0 - 1 * s, 15 * s, 14 * s, 0.0, waves(random, 0.05)), blood.plain, blood.left, blood=True
        )
    else:
        cava = Blob(x0 - 42 * s, y0 + 20 * s, 11 * s, 9 * s)
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
    canvas.paint(Blob(*oesophagus, 8 * s, 4.5 * s), random.uniform(25, 40))
    if random.uniform() < 0.4:
        canvas.paint(Blob(*oesophagus, 2.2 * s, 1.4 * s), -700)
