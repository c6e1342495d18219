// The window of Hounsfield units that is shown: as the channel has it, and those that lie within.

// The first channel in the whole of its window, masked pixels of a grey from 0 to 1.
function wholeWindow(data, fill = 0) {
  const channel = data.channels[0];
  return { channel, place: 0, width: channel.high - channel.low, level: (channel.low + channel.high) / 2, fill };
}

// Level and width as the channel that is shown has them, and the windows that lie within it.
function rewindow(bench) {
  const { low, high } = bench.channel(),
    { level, width } = bench.controls,
    { units, presets } = bench.data;
  Object.assign(level, { min: low, max: high, step: units ? 1 : 0.01, value: (low + high) / 2 });
  Object.assign(width, { min: units ? 1 : 0.01, max: high - low, step: units ? 1 : 0.01, value: high - low });
  const place = bench.root.querySelector(".presets"),
    own = units ? presets.filter(([, from, to]) => from >= low && to <= high && to - from < high - low) : [];
  place.replaceChildren(
    ...[["whole", low, high], ...own].map(([name, from, to]) => {
      const button = make("button", { type: "button", className: "step", textContent: name });
      button.addEventListener("click", () => {
        width.value = to - from;
        level.value = (from + to) / 2;
        bench.draw();
      });
      return button;
    }),
  );
  bench.root.querySelector("[data-says=cut]").textContent = units
    ? `The study cut its images to ${low} to ${high} ${units}: no other window can be shown.`
    : "";
}
