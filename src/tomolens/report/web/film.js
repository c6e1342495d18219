// The filmstrip: which cases there are, chosen and ordered; a small picture of each, drawn when it comes into sight.

class Film {
  constructor(bench) {
    this.bench = bench;
    this.root = bench.root.querySelector(".film");
    this.chosen = Object.fromEntries(
      [...bench.root.querySelectorAll("[data-film]")].map((one) => [one.dataset.film, one]),
    );
    const { classes } = bench.data;
    this.chosen.class.append(...classes.map((name, at) => make("option", { value: at, textContent: name })));
    for (const one of [...Object.values(this.chosen), bench.controls.sort]) {
      one.addEventListener("change", () => {
        this.fill();
        bench.open(0);
      });
    }
    this.seen = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        this.seen.unobserve(target);
        this.thumb(target);
      }
    });
  }

  // The number of a case by a view: that of the best of the study's maps, better is larger.
  number(one, name) {
    const { sign } = this.bench.data.outputs.find((output) => output.name === name);
    const found = Object.entries(one.numbers)
      .filter(([key, numbers]) => name in numbers && this.bench.own(key))
      .map(([, numbers]) => sign * numbers[name]);
    return found.length ? Math.max(...found) : null;
  }

  cases() {
    const { data, controls } = this.bench,
      by = controls.sort.value,
      show = this.chosen.show.value;
    const wrong = (one) => one.predicted !== one.label,
      tau = (one) => (one.tau === null ? 2 : one.tau);
    let cases = data.cases.filter(
      (one) => this.chosen.class.value === "" || one.label === Number(this.chosen.class.value),
    );
    this.words = new Map();
    if (show === "wrong") cases = cases.filter(wrong);
    if (show === "part") cases = cases.filter((one) => one.tau !== null && one.tau < 0);
    if (show.startsWith("rank:")) {
      const ranked = cases
        .map((one) => [one, this.number(one, show.slice(5))])
        .filter(([, number]) => number !== null)
        .sort((a, b) => b[1] - a[1])
        .map(([one]) => one);
      const picked = { best: ranked[0], median: ranked[Math.floor((ranked.length - 1) / 2)], worst: ranked.at(-1) };
      for (const [word, one] of Object.entries(picked))
        if (one) this.words.set(one, [...(this.words.get(one) || []), word]);
      cases = [...this.words.keys()];
    }
    const down = by.startsWith("number:")
      ? new Map(cases.map((one) => [one, -(this.number(one, by.slice(7)) ?? -Infinity)]))
      : null;
    const keys = { part: tau, wrong: (one) => Number(!wrong(one)) };
    const key = down ? (one) => down.get(one) : keys[by];
    return key ? [...cases].sort((a, b) => key(a) - key(b)) : cases;
  }

  // What a case is: its class, how it stands among the others, and in menus whether it is decided wrongly.
  label(one, whole = false) {
    const { classes } = this.bench.data,
      words = [classes[one.label], ...(this.words.get(one) || [])];
    if (whole && one.predicted !== one.label) words.push("predicted wrongly");
    if (this.bench.controls.sort.value === "part") words.push(one.tau === null ? "no τ" : `τ = ${one.tau.toFixed(2)}`);
    return words.join(", ");
  }

  // Without any choice among the cases.
  all() {
    this.chosen.class.value = "";
    this.chosen.show.value = "all";
    this.fill();
  }

  fill() {
    const { bench } = this;
    bench.cases = this.cases();
    this.seen.disconnect();
    bench.controls.case.replaceChildren(
      ...bench.cases.map((one, index) =>
        make("option", {
          value: index,
          textContent: `${one.name} (${this.label(one, true)})`,
        }),
      ),
    );
    this.root.replaceChildren(
      ...bench.cases.map((one, index) => {
        const wrong = one.predicted !== one.label;
        const frame = make(
          "button",
          { type: "button", className: `cell${wrong ? " wrong" : ""}`, data: { index } },
          make("canvas", { width: 64, height: 64, "aria-hidden": "true" }),
          make("span", { className: "name", textContent: one.name }),
          make("small", { textContent: `${wrong ? "✕ wrong: " : ""}${this.label(one)}` }),
        );
        frame.addEventListener("click", () => bench.open(index));
        this.seen.observe(frame);
        return frame;
      }),
    );
    bench.root.querySelector("[data-says=film]").textContent =
      `${bench.cases.length} of ${bench.data.cases.length} cases`;
  }

  async thumb(cell) {
    const one = this.bench.cases[Number(cell.dataset.index)];
    if (!one) return;
    const planes = await unpack(one);
    const plane = planeAt(planes, 0, one.height),
      grey = greys(planes, plane, wholeWindow(this.bench.data));
    put(cell.querySelector("canvas"), opaque(grey), plane, 64, true);
  }

  current(index) {
    for (const [at, cell] of [...this.root.children].entries()) {
      if (at === index) cell.setAttribute("aria-current", "true");
      else cell.removeAttribute("aria-current");
    }
    const cell = this.root.children[index];
    if (cell)
      this.root.scrollLeft = cell.offsetLeft - this.root.offsetLeft - this.root.clientWidth / 2 + cell.clientWidth / 2;
  }
}

// All maps of a case beside each other, with its twin, the blind maps and the truth.
class Strip {
  constructor(bench) {
    this.bench = bench;
    this.root = bench.root.querySelector(".strip");
    this.inSight = false;
    new IntersectionObserver(
      ([entry]) => {
        this.inSight = entry.isIntersecting;
        if (this.inSight) this.draw();
      },
      { rootMargin: "200px" },
    ).observe(this.root);
  }

  draw() {
    const { bench } = this,
      { planes, one, data } = bench;
    if (!this.inSight || !planes || (this.drawnOf === one && this.drawnAt === bench.at[0])) return;
    Object.assign(this, { drawnOf: one, drawnAt: bench.at[0] });
    const plane = planeAt(planes, 0, bench.at[0]),
      window = wholeWindow(data);
    this.root.replaceChildren(
      ...bench.choices().map(({ key, title, kind }) => {
        const canvas = make("canvas", { "aria-hidden": "true" }),
          map = mapOf(planes, key);
        const rgba = opaque(greys(planes, plane, { ...window, shown: key === "twin/" ? "twin" : "" }));
        if (map) paintMap(rgba, plane, map, map.limit, 0.85, data.colours);
        put(canvas, rgba, plane, 96, true);
        const button = make(
          "button",
          { type: "button", className: `cell ${kind}`, data: { map: key } },
          canvas,
          make("span", { className: "name", textContent: title }),
        );
        button.addEventListener("click", () => bench.choose(key));
        return button;
      }),
    );
    Filter.now?.strip();
  }
}
