// What is measured, shown on one case: a map of the study, and maps that know nothing, with the network's own answers.

class Scrubber {
  constructor(bench) {
    const root = byId("shown-by-example"),
      { data } = bench;
    this.slider = root.querySelector("[data-scrub]");
    this.says = root.querySelector("[data-says=taken]");
    Object.assign(this, { bench, root, one: data.cases.find(({ name }) => name === data.explained.case) });
    this.parts = data.explained.maps.map(({ key, words }) => {
      const canvas = make("canvas", { "aria-hidden": "true" }),
        says = make("p", { className: "decision" });
      root
        .querySelector(".scrubbed")
        .append(
          make(
            "figure",
            {},
            canvas,
            make(
              "figcaption",
              {},
              make("strong", { textContent: words }),
              make("span", { textContent: ` ${bench.title(key)}` }),
            ),
            says,
          ),
        );
      return { key, canvas, says };
    });
    new IntersectionObserver(
      async ([entry], watch) => {
        if (!entry.isIntersecting) return;
        watch.disconnect();
        this.planes = await unpack(this.one);
        const [most] = this.planes.correct[this.parts[0].key];
        this.slider.max = most.length - 1;
        this.slider.value = Math.min(flips(most)[0] ?? Math.ceil(most.length / 10), most.length - 1);
        this.slider.addEventListener("input", () => this.draw());
        this.draw();
      },
      { rootMargin: "300px" },
    ).observe(root);
  }

  draw() {
    const {
        bench: { data },
        one,
        planes,
      } = this,
      at = Number(this.slider.value),
      count = Number(this.slider.max);
    this.says.textContent = `${((100 * at) / count).toFixed(1)} %`;
    const plane = planeAt(planes, 0, one.height),
      window = { ...wholeWindow(data, one.fill[0]), filled: one.filled };
    for (const { key, canvas, says } of this.parts) {
      const { steps } = stepsOf(planes, key, count),
        [most] = planes.correct[key];
      const masked = at ? Uint8Array.from(steps, (step) => Number(isMasked(step, at, count, false))) : null;
      put(canvas, opaque(greys(planes, plane, { ...window, masked })), plane, 240);
      const turn = flips(most)[0],
        when = turning(data.classes, one, turn === undefined ? null : `${((100 * turn) / count).toFixed(1)} %`);
      says.textContent = `${decision(data.classes, one, most[at] === "1")}. ${when}`;
      says.classList.toggle("turned", most[at] !== most[0]);
    }
  }
}
