// One of the linked pictures: its map, what is under the pointer, and its sides.

class Pane {
  constructor(root, bench) {
    Object.assign(this, { root, bench, axis: 0 });
    this.map = root.querySelector("[data-pane=map]");
    this.canvas = root.querySelector("canvas");
    this.frame = root.querySelector(".frame");
    for (const name of ["readout", "numbers", "decision", "bar", "range"]) this[name] = root.querySelector(`.${name}`);
    this.hairs = { across: root.querySelector(".hair.across"), down: root.querySelector(".hair.down") };
    this.map.addEventListener("input", () => {
      bench.use(this);
      bench.draw();
      bench.written();
    });
    for (const kind of ["pointerdown", "focusin"]) root.addEventListener(kind, () => bench.use(this));
    new Pointer(this);
  }

  get key() {
    return this.map.value;
  }
  get index() {
    return this.bench.at[this.axis];
  }

  draw() {
    const { bench, key } = this,
      { planes, one, data } = bench;
    const plane = planeAt(planes, this.axis, this.index),
      shown = bench.shown(),
      map = mapOf(planes, key);
    this.plane = plane;
    const steps = map && shown.at > 0 ? stepsOf(planes, key, shown.count).steps : null;
    const masked =
      steps && Uint8Array.from(steps, (step) => Number(isMasked(step, shown.at, shown.count, shown.turned)));
    const rgba = opaque(
      greys(planes, plane, {
        ...shown,
        masked,
        fill: one.fill[shown.place],
        filled: one.filled,
        shown: key === "twin/" ? "twin" : "",
      }),
    );
    const limit = map && (bench.controls.same.checked ? bench.limit() : map.limit);
    if (map && !bench.flicked) this.paint(rgba, plane, map, limit, shown, masked);
    const { context, zoom } = put(this.canvas, rgba, plane, 512);
    if (planes.mask && bench.controls.outline.checked) outline(context, planes.mask, plane, zoom);
    this.look(map, limit);
    this.describe(map, shown);
    this.crossed();
  }

  paint(rgba, plane, map, limit, shown, masked) {
    const { planes, data } = this.bench,
      { mode, strength, share } = shown,
      regions = this.regions();
    if (mode === "map") paintMap(rgba, plane, map, limit, strength, data.colours, masked);
    if (mode === "top") paintSet(rgba, plane, topOf(keysOf(map), share, false), strength);
    if (mode === "regions" && regions) paintSet(rgba, plane, topOf(regions, share, true), strength);
  }

  regions() {
    const { regions } = this.bench.planes,
      [estimator] = this.key.split("/");
    return regions[this.key] || (this.key.endsWith("absolute") ? regions[`${estimator}/original`] : null);
  }

  // The frame has the shape of the body, whatever the pixels', and shows its sides where they are known.
  look(map, limit) {
    const { one, data, view } = this.bench,
      { height, width } = this.plane;
    const [deep, down, over] = one.spacing;
    const tall = this.axis === 0 ? down / one.fine : deep,
      wide = (this.axis === 2 ? down : over) / one.fine;
    this.millimetres = one.millimetres ? width * wide : 0;
    this.frame.style.aspectRatio = `${width * wide} / ${height * tall}`;
    this.canvas.style.transform = `translate(${view.x * 100}%, ${view.y * 100}%) scale(${view.zoom})`;
    const sides = [
      ["R", "L", "A", "P"],
      ["R", "L", "H", "F"],
      ["A", "P", "H", "F"],
    ][this.axis];
    ["west", "east", "north", "south"].forEach((side, at) => {
      this.root.querySelector(`.mark.${side}`).textContent = one.oriented ? sides[at] : "";
    });
    this.scaled();
    const stops = [];
    if (map && !map.signed)
      for (let place = 0; place < 256; place += 15)
        stops.push(`rgb(${data.colours.slice(3 * place, 3 * place + 3).join(",")})`);
    this.bar.hidden = this.range.hidden = !map;
    if (!map) return;
    this.bar.style.background = map.signed
      ? `linear-gradient(to right, rgb(${AGAINST}), transparent, rgb(${FOR}))`
      : `linear-gradient(to right, ${stops.join(",")})`;
    const ends = map.signed
      ? [`${(-limit).toPrecision(2)} against the class`, "0", `${limit.toPrecision(2)} for it`]
      : ["0", `${limit.toPrecision(2)} (${data.percentile}th percentile)`];
    this.range.replaceChildren(...ends.map((text) => make("span", { textContent: text })));
  }

  scaled() {
    const bar = this.root.querySelector(".scale-bar"),
      across = this.millimetres / this.bench.view.zoom;
    bar.hidden = !across;
    if (!across) return;
    const length = [100, 50, 20, 10, 5, 2, 1].find((one) => one < across / 3) || 1;
    bar.style.width = `${(100 * length) / across}%`;
    bar.textContent = `${length} mm`;
  }

  describe(map, shown) {
    const { one, data } = this.bench,
      [estimator, form] = this.key.split("/");
    const numbers = one.numbers[this.key] || one.numbers[`${estimator}/original`] || {};
    this.numbers.textContent = data.outputs
      .filter(({ name }) => name in numbers)
      .map(({ name, label, factor, digits }) => `${label}: ${(factor * numbers[name]).toFixed(digits)}`)
      .join(", ");
    const correct = map && this.bench.curve("correct", this.key);
    this.decision.textContent = correct
      ? decision(data.classes, one, correct[Number(shown.turned)][shown.at] === "1")
      : "";
    const chosen = this.map.selectedOptions[0]?.textContent ?? "";
    const place = data.depth > 1 ? `, slice ${this.axis ? this.index + 1 : this.bench.slice()}` : "";
    const percent = shown.count ? (100 * shown.at) / shown.count : 0;
    this.canvas.setAttribute(
      "aria-label",
      `${one.name}, ${data.classes[one.label]}${place}: ${chosen}; ${percent.toFixed(0)} % of the pixels masked. ${this.decision.textContent}`,
    );
  }

  // What is under the pointer in each picture: Hounsfield units, the map's score, and how many pixels have less.
  crossed() {
    const { at, planes, data, cross } = this.bench;
    for (const hair of Object.values(this.hairs)) hair.hidden = !cross;
    if (!cross || !this.plane) {
      this.readout.textContent = "";
      return;
    }
    const [depth, rows, columns] = planes.size,
      [slice, row, column] = at;
    const down = this.axis === 0 ? (row + 0.5) / rows : (depth - slice - 0.5) / depth;
    const over = this.axis === 2 ? (row + 0.5) / rows : (column + 0.5) / columns;
    const { zoom, x, y } = this.bench.view,
      seen = (part, shift) => `${100 * ((part - 0.5) * zoom + 0.5 + shift)}%`;
    this.hairs.across.style.top = seen(down, y);
    this.hairs.down.style.left = seen(over, x);
    const channel = this.bench.channel(),
      place = Number(this.bench.controls.channel.value) || 0;
    const values = this.key === "twin/" && planes.twin ? planes.twin : planes.channels[place];
    const value = channel.low + (values[(slice * rows + row) * columns + column] / 255) * (channel.high - channel.low);
    const words = [
      `row ${row}, column ${column}: ${data.units ? `${Math.round(value)} ${data.units}` : value.toFixed(3)}`,
    ];
    const map = mapOf(planes, this.key);
    if (map) {
      const under =
        (slice * planes.coarse[1] + Math.floor(row / planes.fine)) * planes.coarse[2] +
        Math.floor(column / planes.fine);
      const rank = map.ranks[under],
        score = (map.values[Math.abs(rank)] / 255) * map.limit * (map.signed ? Math.sign(rank) : 1);
      const keys = this.known === map.ranks && this.knownSigned === map.signed ? this.keys : keysOf(map);
      Object.assign(this, { known: map.ranks, knownSigned: map.signed, keys });
      const below = keys.reduce((sum, key) => sum + Number(key < keys[under]), 0);
      words.push(
        `score ${score.toPrecision(2)}${Math.abs(score) >= map.limit * 0.999 ? " or more" : ""}, above ${((100 * below) / keys.length).toFixed(0)} % of the pixels`,
      );
    }
    this.readout.textContent = words.join("; ");
  }
}
