// What keys do inside the viewer, and nowhere else.

// The next of the maps that can be chosen, or the one before.
function turn(bench, by, pane = bench.active) {
  const options = [...pane.map.options].filter((one) => !one.hidden && !one.disabled),
    now = options.indexOf(pane.map.selectedOptions[0]);
  bench.choose(options[(now + by + options.length) % options.length].value, pane);
}

function keyed(bench, event) {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  const does = {
    ArrowRight: () => bench.open(bench.index + 1),
    ArrowLeft: () => bench.open(bench.index - 1),
    ArrowDown: () => turn(bench, 1),
    ArrowUp: () => turn(bench, -1),
    f: () => bench.flick(),
    "+": () => bench.zoom(bench.view.zoom * 1.25),
    "-": () => bench.zoom(bench.view.zoom / 1.25),
    0: () => bench.zoom(1),
    PageUp: () => bench.step(0, 1),
    PageDown: () => bench.step(0, -1),
  }[event.key];
  if (!does || (event.key.startsWith("Page") && bench.data.depth < 2)) return;
  event.preventDefault();
  does();
}
