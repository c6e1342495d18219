// The numbers of a line under the pointer: which map, how far along, its value and its interval.

function beside(box, event) {
  box.style.left = `${Math.min(event.pageX + 14, document.documentElement.clientWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${event.pageY + 18}px`;
}

// A pointer shows numbers where it moves, a finger where it taps: these stay until it taps elsewhere or scrolls.
function pointed(place, show) {
  const hide = (event) => {
    if (event.type === "pointercancel" || event.pointerType !== "touch") byId("hover").hidden = true;
  };
  for (const kind of ["pointermove", "pointerdown"]) place.addEventListener(kind, show);
  for (const kind of ["pointerleave", "pointercancel"]) place.addEventListener(kind, hide);
}
document.addEventListener(
  "pointerdown",
  () => {
    byId("hover").hidden = true;
  },
  true,
);

function readable(chart) {
  const { x, y } = JSON.parse(chart.dataset.ends),
    box = byId("hover");
  const number = (place, [low, high, start, end]) => low + ((place - start) / (end - start)) * (high - low);
  const points = new Map();
  for (const line of chart.querySelectorAll("polyline[data-map]")) {
    points.set(
      line,
      line
        .getAttribute("points")
        .split(" ")
        .map((one) => one.split(",").map(Number)),
    );
  }
  const across = (words) => (/%/.test(chart.dataset.across) ? `${words.toFixed(1)} %` : words.toFixed(3));
  pointed(chart, (event) => {
    const drawing = event.target.closest(".panel-drawing");
    if (!drawing) {
      box.hidden = true;
      return;
    }
    const frame = drawing.getBoundingClientRect(),
      wide = drawing.viewBox.baseVal.width,
      scale = wide / frame.width;
    const at = (event.clientX - frame.left) * scale;
    const lines = [...drawing.querySelectorAll("polyline[data-map]")].map((line) => {
      const all = points.get(line),
        nearest = all.reduce(
          (best, one, index) => (Math.abs(one[0] - at) < Math.abs(all[best][0] - at) ? index : best),
          0,
        );
      const ends = [line.dataset.low, line.dataset.high].map((text) => text?.split(" ")[nearest]);
      const sure = ends[0] ? ` (${ends[0]} to ${ends[1]})` : "";
      return [`${line.dataset.name}: ${number(all[nearest][1], y).toFixed(3)}${sure}`, number(all[nearest][0], x)];
    });
    box.replaceChildren(
      make("strong", { textContent: lines.length ? across(lines[0][1]) : "" }),
      ...lines.reverse().map(([words]) => make("div", { textContent: words })),
    );
    box.hidden = !lines.length;
    beside(box, event);
  });
}
document.querySelectorAll(".chart.lines, .chart.classes").forEach(readable);

// Every two of a list: the names of both and their numbers, under the pointer.
function paired(chart) {
  const { names, cells, corner, size } = JSON.parse(chart.dataset.ends),
    box = byId("hover"),
    drawing = chart.querySelector("svg.pairs-drawing");
  pointed(drawing, (event) => {
    const frame = drawing.getBoundingClientRect(),
      scale = drawing.viewBox.baseVal.width / frame.width;
    const [over, down] = [event.clientX - frame.left, event.clientY - frame.top].map((place, at) =>
      Math.floor((place * scale - corner[at]) / size),
    );
    const said = cells[Math.max(over, down)]?.[Math.min(over, down)];
    box.hidden = !said;
    if (!said) return;
    box.replaceChildren(
      make("strong", { textContent: `${names[down]} · ${names[over]}` }),
      make("div", { textContent: said }),
    );
    beside(box, event);
  });
  chart.querySelector("figcaption").before(
    tableOf(names, cells, chart.querySelector(".panels").getAttribute("aria-label")),
  );
}

// The same as a table, made when it is asked for; it is not printed.
function tableOf(names, cells, title) {
  const folded = make("details", { className: "all-pairs" }, make("summary", { textContent: "Every two as a table" }));
  const line = (tag, ...words) => make("tr", {}, ...words.map((textContent) => make(tag, { textContent })));
  const fill = () => {
    const rows = cells.flatMap((told, down) =>
      told.flatMap((words, over) => (words && over < down ? [line("td", names[over], names[down], words)] : [])),
    );
    const table = make(
      "table",
      { className: "wrap" },
      make("thead", {}, line("th", "one", "other", "found")),
      make("tbody", {}, ...rows),
    );
    folded.append(make("div", { className: "scroll", tabIndex: 0, role: "region", "aria-label": `${title}, every two as a table` }, table));
  };
  folded.addEventListener("toggle", fill, { once: true });
  return folded;
}
document.querySelectorAll(".chart.pairs").forEach(paired);

// What a word means, beside it.
let meanings = 0;
for (const word of document.querySelectorAll("dfn[data-means]")) {
  const id = `means-${(meanings += 1)}`;
  word.append(make("span", { className: "meaning", id, role: "tooltip", textContent: word.dataset.means }));
  word.setAttribute("aria-describedby", id);
}
