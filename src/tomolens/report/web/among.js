// Where a case stands among the others: the number of the first picture's map in each of them, a dot a case.

const LANES = 5,
  LANE = 6;

class Among {
  constructor(bench) {
    const root = bench.root.querySelector(".among");
    Object.assign(this, { bench, root, dots: [] });
    if (!root) return;
    this.menu = root.querySelector("select");
    this.place = root.querySelector(".dots");
    this.says = root.querySelector("[data-says=among]");
    this.menu.addEventListener("change", () => this.draw());
    this.place.addEventListener("click", (event) => {
      const box = this.place.getBoundingClientRect(),
        x = (100 * (event.clientX - box.left)) / box.width,
        y = event.clientY - box.top;
      const far = (dot) => Math.hypot(((dot.x - x) * box.width) / 100, dot.y - y);
      const [nearest] = [...this.dots].sort((one, other) => far(one) - far(other));
      if (nearest && far(nearest) < 24) bench.open(nearest.index);
    });
  }

  draw() {
    if (!this.root || !this.bench.one) return;
    const { bench } = this,
      { key } = bench.panes[0],
      output = bench.data.outputs.find(({ name }) => name === this.menu.value);
    const of = (one) => (one.numbers[key] ?? one.numbers[`${key.split("/")[0]}/original`])?.[output.name];
    const known = bench.cases.map((one, index) => ({ one, index, value: of(one) })).filter(({ value }) => value !== undefined);
    const values = known.map(({ value }) => value).sort((a, b) => a - b),
      [low, high] = [values[0], values.at(-1)];
    this.dots = known.map((dot) => ({
      ...dot,
      x: high > low ? 2 + (96 * (dot.value - low)) / (high - low) : 50,
      y: 8 + LANE * (dot.index % LANES),
    }));
    const picture = drawn("svg", { width: "100%", height: 16 + LANE * (LANES - 1), "aria-hidden": "true" });
    const here = (dot) => dot.one === bench.one;
    for (const dot of [...this.dots].sort((one, other) => here(one) - here(other))) {
      const kind = `${dot.one.predicted === dot.one.label ? "" : " wrong"}${here(dot) ? " here" : ""}`;
      const told = drawn("title", {}, `${dot.one.name}: ${this.number(output, dot.value)}`);
      picture.append(drawn("circle", { cx: `${dot.x}%`, cy: dot.y, r: here(dot) ? 6.5 : 4, class: `case-dot${kind}` }, told));
    }
    this.place.replaceChildren(picture);
    const words = this.words(output, values, of(bench.one), bench.title(key));
    this.says.textContent = words;
    this.place.setAttribute("aria-label", words);
  }

  number(output, value) {
    return (output.factor * value).toFixed(output.digits);
  }

  words(output, values, value, title) {
    if (!values.length) return `${title} has no number in any of these cases.`;
    const ends = `${values.length} cases from ${this.number(output, values[0])} to ${this.number(output, values.at(-1))}`;
    const better = values.filter((one) => output.sign * (one - value) > 0).length;
    const here =
      value === undefined ? "no number in this case" : `${this.number(output, value)} in this case, better in ${better} others`;
    return `${title}, ${output.label}: ${here}; ${ends}. Rings: wrong predictions. A click opens a case.`;
  }
}
