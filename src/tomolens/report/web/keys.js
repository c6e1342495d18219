// What keys do inside the viewer, and nowhere else.

function keyed(bench, event) {
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey) return;
  const turn = (by) => () => {
    const options = [...bench.active.map.options].filter((one) => !one.hidden),
      now = options.indexOf(bench.active.map.selectedOptions[0]);
    bench.choose(options[(now + by + options.length) % options.length].value, bench.active);
  };
  const does = {
    ArrowRight: () => bench.open(bench.index + 1),
    ArrowLeft: () => bench.open(bench.index - 1),
    ArrowDown: turn(1),
    ArrowUp: turn(-1),
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
