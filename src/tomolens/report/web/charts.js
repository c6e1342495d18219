// The numbers of a line under the pointer: which map, how far along, its value and its interval.

function beside(box, event) {
  box.style.left = `${Math.min(event.pageX + 14, document.documentElement.clientWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${event.pageY + 18}px`;
}

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
  chart.addEventListener("pointermove", (event) => {
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
  chart.addEventListener("pointerleave", () => {
    box.hidden = true;
  });
}
document.querySelectorAll(".chart.lines, .chart.classes").forEach(readable);

// Every two of a list: the names of both and their numbers, under the pointer.
function paired(chart) {
  const { names, cells, corner, size } = JSON.parse(chart.dataset.ends),
    box = byId("hover"),
    drawing = chart.querySelector("svg.pairs-drawing");
  drawing.addEventListener("pointermove", (event) => {
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
  drawing.addEventListener("pointerleave", () => {
    box.hidden = true;
  });
}
document.querySelectorAll(".chart.pairs").forEach(paired);

// What a word means, beside it.
let meanings = 0;
for (const word of document.querySelectorAll("dfn[data-means]")) {
  const id = `means-${(meanings += 1)}`;
  word.append(make("span", { className: "meaning", id, role: "tooltip", textContent: word.dataset.means }));
  word.setAttribute("aria-describedby", id);
}
