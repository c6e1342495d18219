"use strict";
// Tables that sort, charts, and the case viewer. Text from files is only ever set as text, never as markup.

const byId = (id) => document.getElementById(id);
const content = (id) => JSON.parse(byId(id).textContent);

function sortable(table) {
  const body = table.tBodies[0];
  for (const [column, heading] of [...table.tHead.rows[0].cells].entries()) {
    const button = heading.querySelector("button");
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => {
        const text = row.cells[column].textContent.replace("not above: ", "");
        const number = text.match(/^-?\d+(\.\d+)?/);
        return number ? Number(number[0]) : text;
      };
      const rows = [...body.rows].map((row) => [key(row), row]);
      rows.sort(([a], [b]) => {
        if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
        const order = typeof a === "number" ? a - b : a.localeCompare(b);
        return ascending ? order : -order;
      });
      body.append(...rows.map(([, row]) => row));
    });
  }
}

function drawCharts() {
  const all = content("charts");
  for (const place of document.querySelectorAll(".chart")) {
    const { data, layout } = all[place.dataset.chart];
    const narrow = place.clientWidth < 500;
    const named = data.filter((trace) => trace.name && trace.showlegend !== false).length;
    // The legend stands below in one column on a phone, in about three on a screen.
    const legend = narrow ? 25 * named : 30 * Math.ceil(named / 3);
    layout.height = (layout.height || 380) + legend;
    // Below the axis, whose own room is always the same.
    layout.legend.y = -60 / (layout.height - legend - 80);
    layout.margin.b = legend + 55;
    // Only these buttons, named one by one: plotly's own set has one that uploads the chart.
    const bar = { modeBarButtons: [["toImage", "resetScale2d"]], showSendToCloud: false, plotlyServerURL: "" };
    Plotly.newPlot(place, data, layout, { responsive: true, displaylogo: false, displayModeBar: narrow ? false : "hover", ...bar });
  }
}

async function unpack(one) {
  const packed = Uint8Array.from(atob(one.data), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const pixels = one.rows * one.columns, fine = pixels * one.fine ** 2;
  let at = 0;
  const take = (length) => bytes.subarray(at, (at += length));
  const channels = one.fill.map(() => take(fine));
  const mask = one.mask ? take(fine) : null;
  const maps = {};
  one.maps.forEach((key, index) => {
    const ranks = new Int8Array(take(pixels));
    maps[key] = { ranks, values: take(128), limit: one.limits[index] };
  });
  const regions = {};
  for (const key of one.regions) regions[key] = take(pixels);
  // Image and mask may be finer than the maps: the map's pixel under each of theirs.
  const width = one.columns * one.fine;
  const cell = Uint32Array.from(channels[0], (_, place) => {
    const row = Math.floor(place / width), column = place % width;
    return Math.floor(row / one.fine) * one.columns + Math.floor(column / one.fine);
  });
  return { channels, mask, maps, regions, cell };
}

// A decision is kept as right or wrong about the explained class, which is the predicted one: of three classes or more
// that says which class is decided only where it is that one.
function decision(classes, label, predicted, right) {
  if (classes.length === 2) return `The network says ${right ? `${classes[label]} (right)` : `${classes[1 - label]} (wrong)`}`;
  const still = right === (label === predicted);
  return `The network ${still ? "still" : "no longer"} says ${classes[predicted]} (${right ? "right" : "wrong"} about it)`;
}

// Pixels from least to most important: one counting sort over the bytes of a map.
function orderOf(keys) {
  const starts = new Uint32Array(257);
  for (const key of keys) starts[key + 1] += 1;
  for (let key = 0; key < 256; key += 1) starts[key + 1] += starts[key];
  const order = new Uint32Array(keys.length);
  keys.forEach((key, pixel) => { order[starts[key]++] = pixel; });
  return order;
}

function outline(context, mask, rows, columns, zoom) {
  const inside = (row, column) => row >= 0 && column >= 0 && row < rows && column < columns && mask[row * columns + column];
  context.beginPath();
  for (let row = 0; row <= rows; row += 1) {
    for (let column = 0; column <= columns; column += 1) {
      if (!inside(row, column) !== !inside(row - 1, column)) {
        context.moveTo(column * zoom, row * zoom);
        context.lineTo((column + 1) * zoom, row * zoom);
      }
      if (!inside(row, column) !== !inside(row, column - 1)) {
        context.moveTo(column * zoom, row * zoom);
        context.lineTo(column * zoom, (row + 1) * zoom);
      }
    }
  }
  for (const [colour, width] of [["#000", 3.5], ["#fff", 1.5]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
}

class Viewer {
  constructor(root, data) {
    Object.assign(this, { root, data, index: 0, request: 0 });
    this.controls = Object.fromEntries([...root.querySelectorAll("[data-control]")].map((one) => [one.dataset.control, one]));
    this.panes = [...root.querySelectorAll(".pane")].map((pane) => ({
      estimator: pane.querySelector("[data-pane=estimator]"),
      form: pane.querySelector("[data-pane=form]"),
      canvas: pane.querySelector("canvas"),
      numbers: pane.querySelector(".numbers"),
      decision: pane.querySelector(".decision"),
      bar: pane.querySelector(".bar"),
      range: pane.querySelector(".range"),
    }));
    this.fill();
    this.listen();
    this.open(0);
  }

  fill() {
    const { estimators, channels } = this.data;
    const option = (text, value) => Object.assign(document.createElement("option"), { textContent: text, value });
    this.sort();
    for (const [place, pane] of this.panes.entries()) {
      pane.estimator.append(...estimators.map(({ name, title }) => option(title, name)));
      [pane.estimator.value, pane.form.value] = this.data.first[place];
    }
    this.controls.channel.append(...channels.map(({ name }, place) => option(name, place)));
    this.controls.channel.closest("label").hidden = channels.length < 2;
    this.rewindow();
  }

  // Level and width as the channel that is shown has them.
  rewindow() {
    const { low, high } = this.channel(), { level, width } = this.controls;
    Object.assign(level, { min: low, max: high, value: (low + high) / 2 });
    Object.assign(width, { min: 1, max: high - low, value: high - low });
  }

  channel() {
    return this.data.channels[this.controls.channel.value];
  }

  // The cases in the order that is asked for: where the two views part most, the lowest tau comes first.
  sort() {
    const { classes } = this.data, by = this.controls.sort.value;
    const tau = (one) => (one.tau === null ? 2 : one.tau), wrong = (one) => Number(one.predicted === one.label);
    const keys = { study: () => 0, part: tau, wrong };
    this.cases = [...this.data.cases].sort((a, b) => keys[by](a) - keys[by](b));
    this.controls.case.replaceChildren(...this.cases.map((one, index) => {
      const words = [classes[one.label]];
      if (one.predicted !== one.label) words.push("predicted wrongly");
      if (by === "part") words.push(one.tau === null ? "no τ" : `τ = ${one.tau.toFixed(2)}`);
      return Object.assign(document.createElement("option"), { textContent: `${one.name} (${words.join(", ")})`, value: index });
    }));
  }

  listen() {
    this.controls.sort.addEventListener("change", () => { this.sort(); this.open(0); });
    this.controls.case.addEventListener("change", () => this.open(Number(this.controls.case.value)));
    this.root.querySelector("[data-step='-1']").addEventListener("click", () => this.open(this.index - 1));
    this.root.querySelector("[data-step='1']").addEventListener("click", () => this.open(this.index + 1));
    this.controls.channel.addEventListener("input", () => this.rewindow());
    for (const one of this.root.querySelectorAll("select:not([data-control=case], [data-control=sort]), input")) {
      one.addEventListener("input", () => this.draw());
    }
    for (const pane of this.panes) this.dragged(pane.canvas);
    document.addEventListener("keydown", (event) => {
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
      const steps = { ArrowRight: 1, ArrowLeft: -1, j: 1, k: -1 };
      if (event.key in steps) {
        event.preventDefault();
        this.open(this.index + steps[event.key]);
      }
    });
  }

  // Across changes the window's width, up and down its level, as at a workstation.
  dragged(canvas) {
    let from = null;
    const { level, width } = this.controls;
    canvas.addEventListener("pointerdown", (event) => {
      from = [event.clientX, event.clientY, Number(level.value), Number(width.value)];
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      const each = (this.channel().high - this.channel().low) / canvas.clientWidth;
      width.value = from[3] + (event.clientX - from[0]) * each;
      level.value = from[2] + (event.clientY - from[1]) * each;
      this.draw();
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    canvas.addEventListener("dblclick", () => {
      width.value = width.max;
      level.value = (Number(level.min) + Number(level.max)) / 2;
      this.draw();
    });
  }

  async open(index) {
    const count = this.cases.length;
    this.index = (index + count) % count;
    this.request += 1;
    const request = this.request, one = this.cases[this.index];
    const planes = await unpack(one);
    if (request !== this.request) return;
    this.one = one;
    this.planes = planes;
    this.controls.case.value = this.index;
    const { classes } = this.data;
    const verdict = one.predicted === one.label ? "rightly" : "wrongly";
    const [rows, columns] = one.full;
    const size = (factor) => `${one.columns * factor} × ${one.rows * factor}`;
    const smaller = rows === one.rows ? "" : ` Of ${columns} × ${rows} pixels, the image is shown at ${size(one.fine)}, maps at ${size(1)}.`;
    this.root.querySelector(".facts").textContent =
      `Case ${this.index + 1} of ${count}: ${classes[one.label]}, predicted ${verdict} as ${classes[one.predicted]}` +
      `${one.mask ? "" : "; no mask"}.${smaller}` +
      (one.planes > 1 ? ` Slice ${one.height + 1} of ${one.planes} from the feet: its shares are of this slice, numbers and decisions of the volume.` : "");
    const steps = Object.values(one.correct)[0];
    this.controls.masked.max = steps ? steps[0].length - 1 : 0;
    this.controls.outline.disabled = !one.mask;
    this.draw();
  }

  draw() {
    if (!this.planes) return;
    const { level, width, share, opacity, masked } = this.controls;
    const say = (name, text) => { this.root.querySelector(`[data-says=${name}]`).textContent = text; };
    const percent = masked.max > 0 ? (100 * masked.value) / masked.max : 0;
    say("window", `window ${Math.round(width.value)}, level ${Math.round(level.value)} HU`);
    const { mode } = this.controls, without = mode.value === "regions" && this.one.regions.length === 0;
    say("regions", without ? `no regions: this case has no ${this.one.mask ? "usable mask" : "mask"}` : "");
    share.disabled = without || mode.value === "map" || mode.value === "none";
    opacity.disabled = without || mode.value === "none";
    say("share", `top ${share.value} %`);
    say("opacity", `${opacity.value} %`);
    say("masked", `${percent.toFixed(1)} %`);
    for (const pane of this.panes) this.drawPane(pane, percent / 100);
  }

  drawPane(pane, fraction) {
    const { planes, controls } = this;
    const estimator = pane.estimator.value, form = pane.form.value, key = `${estimator}/${form}`;
    // The absolute map has a plane of its own where it is more than the other's magnitude (several channels).
    const map = planes.maps[key] || planes.maps[`${estimator}/original`];
    const keys = Uint8Array.from(map.ranks, form === "absolute" ? Math.abs : (rank) => rank + 128);
    const order = orderOf(keys);
    const grey = this.windowed(order, fraction);
    const rgba = new Uint8ClampedArray(4 * grey.length);
    grey.forEach((value, pixel) => rgba.set([value, value, value, 255], 4 * pixel));
    const strength = Number(controls.opacity.value) / 100, share = Number(controls.share.value) / 100;
    if (controls.mode.value === "map") this.paintMap(rgba, map, form, strength);
    if (controls.mode.value === "top") {
      const first = order.length - Math.max(1, Math.floor(share * order.length + 0.5));
      this.paintSet(rgba, order.subarray(first), strength);
    }
    if (controls.mode.value === "regions" && planes.regions[key]) {
      this.paintSet(rgba, this.topRegions(planes.regions[key], share), strength);
    }
    this.put(pane.canvas, rgba);
    this.describe(pane, key, form, map.limit, fraction);
  }

  windowed(order, fraction) {
    const { one, planes: { channels, cell }, controls } = this;
    const { low, high } = this.channel(), place = Number(controls.channel.value), width = Number(controls.width.value), level = Number(controls.level.value);
    const shade = (value) => 255 * Math.min(1, Math.max(0, (low + (value / 255) * (high - low) - level) / width + 0.5));
    const count = Math.floor(fraction * order.length + 0.5), fill = shade(255 * one.fill[place]);
    const hidden = new Uint8Array(order.length);
    for (const pixel of controls.order.value === "0" ? order.subarray(order.length - count) : order.subarray(0, count)) hidden[pixel] = 1;
    return Float32Array.from(channels[place], (value, pixel) => (hidden[cell[pixel]] ? fill : shade(value)));
  }

  paintMap(rgba, map, form, strength) {
    const colours = this.data.colours[form];
    this.planes.cell.forEach((under, pixel) => {
      const rank = map.ranks[under], size = map.values[Math.abs(rank)] / 255;
      const place = Math.round(form === "absolute" ? 255 * size : 127.5 + 127.5 * Math.sign(rank) * size);
      const weight = strength * Math.sqrt(size);
      for (let channel = 0; channel < 3; channel += 1) {
        rgba[4 * pixel + channel] += weight * (colours[3 * place + channel] - rgba[4 * pixel + channel]);
      }
    });
  }

  paintSet(rgba, set, strength) {
    const colour = [253, 187, 22], chosen = new Set(set);
    this.planes.cell.forEach((under, pixel) => {
      if (!chosen.has(under)) return;
      for (let channel = 0; channel < 3; channel += 1) {
        rgba[4 * pixel + channel] += strength * (colour[channel] - rgba[4 * pixel + channel]);
      }
    });
  }

  // Regions are kept whole: all pixels of the last value that is needed.
  topRegions(ranks, share) {
    const order = orderOf(ranks), wanted = Math.max(1, Math.floor(share * ranks.length + 0.5));
    const last = ranks[order[order.length - wanted]];
    return order.filter((pixel) => ranks[pixel] >= last);
  }

  put(canvas, rgba) {
    const { one, planes, controls } = this, columns = one.columns * one.fine, rows = one.rows * one.fine;
    const zoom = Math.max(1, Math.ceil(512 / columns));
    const small = Object.assign(document.createElement("canvas"), { width: columns, height: rows });
    small.getContext("2d").putImageData(new ImageData(rgba, columns, rows), 0, 0);
    canvas.width = columns * zoom;
    canvas.height = rows * zoom;
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, canvas.width, canvas.height);
    if (planes.mask && controls.outline.checked) outline(context, planes.mask, rows, columns, zoom);
  }

  describe(pane, key, form, limit, fraction) {
    const { one, data, controls } = this, numbers = one.numbers[key] || {};
    pane.numbers.textContent = data.outputs
      .filter(({ name }) => name in numbers)
      .map(({ name, label, factor, digits }) => `${label}: ${(factor * numbers[name]).toFixed(digits)}`)
      .join(", ");
    const correct = one.correct[key];
    pane.decision.textContent = "";
    if (correct) {
      const right = correct[Number(controls.order.value)][Math.round(fraction * Number(controls.masked.max))] === "1";
      pane.decision.textContent = decision(data.classes, one.label, one.predicted, right);
    }
    const colours = data.colours[form], stops = [];
    for (let place = 0; place < 256; place += 15) stops.push(`rgb(${colours.slice(3 * place, 3 * place + 3).join(",")})`);
    pane.bar.style.background = `linear-gradient(to right, ${stops.join(",")})`;
    pane.range.textContent = `${form === "absolute" ? "0" : (-limit).toPrecision(2)} to ${limit.toPrecision(2)} (${data.percentile}th percentile of the magnitude)`;
  }
}

document.querySelectorAll("table.sortable").forEach(sortable);
drawCharts();
if (byId("viewer")) new Viewer(byId("viewer"), content("cases"));
