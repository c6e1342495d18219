// What the network says while a case's pixels go, beside the slider: both orders, the place now, and where it turns.

const CURVE = { width: 320, height: 150, left: 40, right: 18, top: 8, bottom: 26 };

// Steps at which the decision is another than just before.
function flips(correct) {
  return [...correct].flatMap((now, at) => (at && now !== correct[at - 1] ? [at] : []));
}

function drawCurve(place, { scores, correct, at, turned, classes, one }) {
  const count = correct[0].length - 1,
    { width, height, left, right, top, bottom } = CURVE;
  const x = (step) => left + (step / count) * (width - left - right),
    y = (part) => height - bottom - part * (height - top - bottom);
  const picture = drawn("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  const write = (text, given) => picture.append(drawn("text", given, text));
  for (const part of [0, 0.5, 1]) {
    picture.append(drawn("line", { x1: left, x2: width - right, y1: y(part), y2: y(part), class: "grid" }));
    write(scores ? String(part) : { 0: "wrong", 0.5: "", 1: "right" }[part], {
      x: left - 5,
      y: y(part) + 4,
      class: "tick end",
    });
  }
  for (const part of [0, 0.25, 0.5, 0.75, 1])
    write(`${100 * part} %`, { x: x(part * count), y: height - 8, class: "tick middle" });
  const turns = [];
  [0, 1].forEach((way) => {
    const values = scores
      ? scores[way].map((value, step) => [step, value]).filter(([, value]) => value !== null)
      : [...correct[way]].map((value, step) => [step, Number(value)]);
    const points = values.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    picture.append(
      drawn("polyline", {
        points,
        class: `curve line-${way}${way === Number(turned) ? "" : " faint"}`,
        "stroke-dasharray": way ? "6 3" : "none",
      }),
    );
    for (const step of flips(correct[way])) {
      if (way === Number(turned)) turns.push(step);
      const value = scores?.[way][step] ?? Number(correct[way][step]);
      picture.append(
        drawn("circle", {
          cx: x(step),
          cy: y(value),
          r: 4.5,
          class: `flip line-${way}${way === Number(turned) ? "" : " faint"}`,
        }),
      );
    }
  });
  picture.append(drawn("line", { x1: x(at), x2: x(at), y1: top, y2: height - bottom, class: "now" }));
  place.replaceChildren(picture);
  const percent = (step) => `${((100 * step) / count).toFixed(1)} %`;
  const what = scores ? `Probability of “${classes[one.explained]}”` : "Whether the decision is right";
  place.setAttribute(
    "aria-label",
    `${what} while pixels go, ${turned ? "least" : "most"} important first: the decision turns at ${turns.map(percent).join(", ") || "no share"}.`,
  );
  return turns.map(percent);
}

// What masked pixels become, of one channel: its share of the way from black to white.
function fillInWords(fill) {
  if (fill.length > 1) return "";
  const share = Math.round(100 * fill[0]);
  return ` What goes becomes ${{ 0: "black", 100: "white" }[share] ?? `grey (${share} % of white)`}.`;
}

const NEIGHBOURS =
  " What goes became a noisy mean of its neighbours; here it is shown in one grey, which is not what the network saw.";

// Rows and columns, and before them the slices of a volume.
const sized = (lengths) => lengths.filter((length, at) => at || length > 1).join(" × ");

// The curve of the picture that was used last, and how near to the network’s own its order of masking is.
function showCurve(bench, shown) {
  const { key } = bench.active.root.hidden ? bench.panes[0] : bench.active,
    box = bench.root.querySelector(".curve-box"),
    correct = bench.curve("correct", key);
  const map = mapOf(bench.planes, key),
    what = bench.root.querySelector("[data-says=exact]");
  box.classList.toggle("without", !correct || !map);
  if (!correct || !map) {
    what.textContent = "Of this picture no masking is known: it was not masked, or the case has no number of it, as where the network does not tell it from its twin.";
    bench.root.querySelector(".case-curve").replaceChildren();
    return;
  }
  const known = bench.curve("along", key),
    scores = known?.flat().some((value) => value !== null) ? known : null;
  const turns = drawCurve(bench.root.querySelector(".case-curve"), {
    scores,
    correct,
    at: shown.at,
    turned: shown.turned,
    classes: bench.data.classes,
    one: bench.one,
  });
  const { exact } = stepsOf(bench.planes, key, shown.count),
    whole = bench.one.full[1] === bench.one.rows && bench.one.every === 1;
  const how = !exact
    ? "Masked here approximately: each map has 127 levels, and equal pixels are drawn in the order of the image. The network saw them in the order of the exact values, ties drawn by lot; its answer is about that."
    : whole
      ? "Masked in the network’s own order, ties as they were drawn."
      : `Masked in the network’s own order; of the case’s ${sized(bench.one.full)} ${bench.one.depth > 1 ? "voxels" : "pixels"} ${sized([bench.one.depth, bench.one.rows, bench.one.columns])} are shown here.`;
  const filled = { twin: " What goes becomes what it is in the twin.", neighbours: NEIGHBOURS }[bench.one.filled] ?? fillInWords(bench.one.fill);
  what.textContent = `${bench.title(key)}: the decision turns at ${turns.join(", ") || "no share"} (rings). ${scores ? "Solid: most important first; dashed: least." : ""} ${how}${filled}`;
}
