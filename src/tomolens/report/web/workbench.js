// The case workbench: what is shown of which case, in linked pictures.

class Workbench {
  constructor(root, data) {
    Object.assign(this, {
      root,
      data: prepared(data),
      index: 0,
      request: 0,
      at: [0, 0, 0],
      cross: false,
      flicked: false,
      view: { zoom: 1, x: 0, y: 0 },
    });
    this.controls = Object.fromEntries(
      [...root.querySelectorAll("[data-control]")].map((one) => [one.dataset.control, one]),
    );
    this.controls.tool.value = matchMedia("(pointer: coarse)").matches ? "point" : "window";
    if (matchMedia("(max-width: 46rem)").matches) this.controls.count.value = "1";
    this.controls.count.querySelector("[value=planes]").hidden = this.data.depth < 2;
    this.controls.slice.closest("label").hidden = this.data.depth < 2;
    this.panes = [...root.querySelectorAll(".pane")].map((pane) => new Pane(pane, this));
    this.active = this.panes[0];
    this.film = new Film(this);
    this.strip = new Strip(this);
    this.among = new Among(this);
    this.begin();
    this.listen();
    this.arrange();
    this.start();
  }

  begin() {
    const { channels, first } = this.data,
      kinds = { map: "maps", blind: "maps that never look at the network", truth: "the truth, and the twin" };
    this.panes.forEach((pane, place) => {
      for (const [kind, label] of Object.entries(kinds)) {
        const options = this.choices()
          .filter((one) => one.kind === kind)
          .map(({ key, title }) => make("option", { value: key, textContent: title }));
        if (options.length) pane.map.append(make("optgroup", { label }, ...options));
      }
      pane.map.append(make("option", { value: "image/", textContent: "the image alone" }));
      pane.map.value = first[place] ?? first[0];
    });
    this.controls.channel.append(
      ...channels.map(({ name }, place) => make("option", { value: place, textContent: name })),
    );
    this.controls.channel.closest("label").hidden = channels.length < 2;
    this.film.fill();
    rewindow(this);
  }

  // Every map there is of a case, under its name.
  choices() {
    return this.data.choices;
  }
  title(key) {
    return this.choices().find((one) => one.key === key)?.title ?? key;
  }
  // Whether it is one of the study's own maps, and none that never looks at the network.
  own(key) {
    return this.choices().some((one) => one.key === key && one.kind === "map");
  }
  // The number of the slice in view among the case's own, of which not all may be shown.
  slice() {
    const { every } = this.one;
    return this.at[0] * every + Math.floor(every / 2) + 1;
  }
  channel() {
    return this.data.channels[Number(this.controls.channel.value) || 0];
  }
  planar() {
    return this.controls.count.value === "planes";
  }
  curve(kind, key) {
    const kept = this.planes[kind];
    return kept[key] ?? kept[`${key.split("/")[0]}/original`];
  }

  listen() {
    const { controls, root } = this;
    controls.case.addEventListener("change", () => this.open(Number(controls.case.value)));
    for (const button of root.querySelectorAll("[data-step]"))
      button.addEventListener("click", () => this.open(this.index + Number(button.dataset.step)));
    for (const button of root.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () =>
        this.zoom(Number(button.dataset.zoom) ? this.view.zoom * Number(button.dataset.zoom) : 1),
      );
    }
    controls.channel.addEventListener("input", () => rewindow(this));
    controls.count.addEventListener("input", () => this.arrange());
    controls.slice.addEventListener("input", () => {
      this.at[0] = Number(controls.slice.value);
    });
    controls.tool.addEventListener("input", () => this.tooled());
    for (const [name, one] of Object.entries(controls))
      if (name !== "case" && name !== "sort") one.addEventListener("input", () => this.draw());
    root.querySelector("[data-flick]").addEventListener("click", () => this.flick());
    root.querySelector("[data-link]").addEventListener("click", () => {
      this.written();
      copy(address.link(), "link");
    });
    root.querySelector(".bench").addEventListener("keydown", (event) => keyed(this, event));
    this.film.root.addEventListener("keydown", (event) => keyed(this, event));
    follow.others.push((key, told) => {
      if (told && key) this.choose(key, this.panes[0]);
    });
    addEventListener("hashchange", () => {
      const { case: name, map } = address.read();
      if (name || map) this.start();
    });
    onSwipe(root.querySelector(".steps"), (by) => this.open(this.index + by));
    sheet(root.querySelector(".side"));
    this.tooled();
  }

  tooled() {
    this.root.dataset.tool = this.controls.tool.value;
  }

  flick() {
    this.flicked = !this.flicked;
    this.root.querySelector("[data-flick]").setAttribute("aria-pressed", String(this.flicked));
    this.draw();
  }

  arrange() {
    const planar = this.planar(),
      count = planar ? 3 : Number(this.controls.count.value);
    this.root.querySelector(".panes").dataset.count = this.controls.count.value;
    this.panes.forEach((pane, place) => {
      pane.root.hidden = place >= count;
      pane.axis = planar ? place : 0;
      if (planar) pane.map.value = this.panes[0].map.value;
    });
    if (this.active.root.hidden) this.use(this.panes[0]);
    this.draw();
  }

  use(pane) {
    this.active = pane;
    for (const other of this.panes) other.root.classList.toggle("active", other === pane);
  }

  choose(key, pane = this.active) {
    const form = key.replace(/\/both$/, "/absolute"),
      known = [form, key.replace(/\/both$/, "/original")].find((one) =>
        this.choices().some((choice) => choice.key === one),
      );
    if (!known) {
      if (key !== "image/" && key !== "twin/") return;
    }
    pane.map.value = known ?? key;
    if (this.planar()) for (const other of this.panes) other.map.value = pane.map.value;
    this.use(pane);
    this.draw();
    this.written();
  }

  step(axis, by) {
    this.at[axis] = Math.max(0, Math.min(this.planes.size[axis] - 1, this.at[axis] + by));
    this.controls.slice.value = this.at[0];
    this.draw();
  }

  zoom(to) {
    this.view.zoom = Math.max(1, Math.min(12, to));
    this.root.classList.toggle("enlarged", this.view.zoom > 1);
    this.moveTo(this.view.x, this.view.y);
  }

  // The picture never leaves its frame.
  moveTo(x, y) {
    const most = (this.view.zoom - 1) / 2;
    Object.assign(this.view, { x: Math.max(-most, Math.min(most, x)), y: Math.max(-most, Math.min(most, y)) });
    for (const pane of this.panes)
      if (!pane.root.hidden && pane.plane) {
        pane.canvas.style.transform = `translate(${this.view.x * 100}%, ${this.view.y * 100}%) scale(${this.view.zoom})`;
        pane.scaled();
      }
    this.crossed();
  }

  // The case and map of the address, or the first case. A case that is not on the page is told; a choice among the
  // cases that hides the one that is asked for is taken back.
  start() {
    const { case: name, map } = address.read(),
      here = (wanted) => this.cases.findIndex((one) => one.name === wanted),
      known = this.data.cases.some((one) => one.name === name);
    if (name && !known) {
      const words = `There is no case “${name}” on this page`;
      this.root.querySelector("[data-says=film]").textContent = `${words}; another is shown.`;
      tell(words);
      if (this.one) return;
    }
    if (map && [...this.panes[0].map.options].some((one) => one.value === map)) this.panes[0].map.value = map;
    if (known && here(name) < 0) this.film.all();
    const at = here(known ? name : (this.one?.name ?? this.data.start));
    this.open(Math.max(0, at), Boolean(name || map));
    if (known) this.root.scrollIntoView();
  }

  async open(index, write = true) {
    const count = this.cases.length;
    this.root.classList.toggle("empty", !count);
    if (!count) {
      this.root.querySelector(".facts").textContent = "No case is of this kind.";
      return;
    }
    this.index = (index + count) % count;
    this.request += 1;
    const { request } = this,
      one = this.cases[this.index],
      planes = await unpack(one);
    if (request !== this.request) return;
    Object.assign(this, { one, planes });
    this.at = [one.height, Math.floor(planes.size[1] / 2), Math.floor(planes.size[2] / 2)];
    Object.assign(this.controls.slice, { max: one.depth - 1, value: this.at[0] });
    this.controls.case.value = this.index;
    this.controls.masked.max = Math.max(1, one.points) - 1;
    this.controls.outline.disabled = !one.mask;
    this.root.querySelector(".facts").textContent = factsOf(this, one);
    for (const option of this.root.querySelectorAll("[data-pane=map] option[value='twin/']"))
      option.disabled = !one.twin;
    this.film.current(this.index);
    this.draw();
    if (write) this.written();
    document.body.dataset.ready = "yes";
  }

  written() {
    if (this.one) address.write({ case: this.one.name, map: this.panes[0].key });
  }

  shown() {
    const { controls } = this;
    return {
      channel: this.channel(),
      place: Number(controls.channel.value) || 0,
      width: Number(controls.width.value),
      level: Number(controls.level.value),
      mode: controls.mode.value,
      strength: Number(controls.opacity.value) / 100,
      share: Number(controls.share.value) / 100,
      at: Number(controls.masked.value),
      count: Number(controls.masked.max),
      turned: controls.order.value === "1",
    };
  }

  limit() {
    const maps = this.panes
      .filter((pane) => !pane.root.hidden)
      .map((pane) => mapOf(this.planes, pane.key))
      .filter(Boolean);
    return Math.max(...maps.map((map) => map.limit));
  }

  // Once a frame, however fast a slider sends.
  draw() {
    if (!this.planes || this.waiting) return;
    this.waiting = true;
    queueMicrotask(() => {
      this.waiting = false;
      this.redraw();
    });
  }

  redraw() {
    const { level, width, share, opacity, mode } = this.controls,
      shown = this.shown();
    const say = (name, text) => {
      this.root.querySelector(`[data-says=${name}]`).textContent = text;
    };
    const without = mode.value === "regions" && this.one.regions.length === 0;
    say(
      "window",
      `window ${this.number(width.value)}, level ${this.number(level.value)}${this.data.units ? ` ${this.data.units}` : ""}`,
    );
    say("regions", without ? `no regions: this case has no ${this.one.mask ? "usable mask" : "mask"}` : "");
    share.disabled = without || mode.value === "map" || mode.value === "none";
    opacity.disabled = without || mode.value === "none";
    say("share", `top ${share.value} %`);
    say("opacity", `${opacity.value} %`);
    say("masked", `${shown.count ? ((100 * shown.at) / shown.count).toFixed(1) : "0.0"} %`);
    say("slice", `${this.slice()} of ${this.one.full[0]}`);
    for (const pane of this.panes) if (!pane.root.hidden) pane.draw();
    showCurve(this, shown);
    this.strip.draw();
    this.among.draw();
  }

  number(value) {
    return this.data.units ? Math.round(value) : Number(value).toFixed(2);
  }

  crossed() {
    for (const pane of this.panes) if (!pane.root.hidden) pane.crossed();
  }
}
