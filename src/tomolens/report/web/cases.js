// The cases as the workbench knows them: their lists and numbers by name, and what is said of one.

// Numbers come as lists, and names once for all cases.
function prepared(data) {
  for (const one of data.cases) {
    for (const list of ["steps", "regions", "along", "correct", "named"]) one[list] = data.lists[one[list]];
    for (const [key, list] of Object.entries(one.numbers)) {
      one.numbers[key] = Object.fromEntries(
        one.named.map((name, at) => [name, list[at]]).filter(([, value]) => value !== null),
      );
    }
  }
  return { ...data, depth: Math.max(...data.cases.map(({ depth }) => depth)) };
}

function factsOf(bench, one) {
  const { classes } = bench.data,
    verdict = one.predicted === one.label ? "rightly" : "wrongly",
    [slices, rows, columns] = one.full;
  const size = (factor) => `${one.columns * factor} × ${one.rows * factor}`;
  const smaller =
    rows === one.rows
      ? ""
      : ` Of ${columns} × ${rows} pixels, the image is shown at ${size(one.fine)}, maps at ${size(1)}.`;
  const thinned = one.every > 1 ? ` Of ${slices} slices, 1 of every ${one.every} is shown.` : "";
  return `Case ${bench.index + 1} of ${bench.cases.length}, ${one.name}: ${classes[one.label]}, predicted ${verdict} as ${classes[one.predicted]}${one.mask ? "" : "; no mask"}.${smaller}${thinned}`;
}
