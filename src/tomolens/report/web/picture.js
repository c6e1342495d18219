// A picture of a plane: the image in its window, a map over it, the outline of a mask.

// Two ends that differ in lightness too: what speaks for the class is light, what speaks against it dark.
const FOR = [255, 190, 40],
  AGAINST = [36, 84, 214],
  CHOSEN = [253, 187, 22];

// The image, windowed, with what is masked in the fill's grey, or as it is in the twin if that fills it.
function greys(planes, plane, { channel, place, width, level, fill, filled, masked, shown }) {
  const { low, high } = channel,
    values = shown === "twin" ? planes.twin : planes.channels[place],
    others = filled === "twin" && place === 0 ? planes.twin : null;
  const shade = (value) => 255 * Math.min(1, Math.max(0, (low + (value / 255) * (high - low) - level) / width + 0.5));
  const table = Float32Array.from({ length: 256 }, (_, value) => shade(value)),
    hidden = shade(255 * fill);
  const grey = new Float32Array(plane.places.length);
  for (let at = 0; at < grey.length; at += 1) {
    const under = plane.places[at];
    if (masked && masked[plane.coarse[at]]) grey[at] = others ? table[others[under]] : hidden;
    else grey[at] = table[values[under]];
  }
  return grey;
}

function opaque(grey) {
  const rgba = new Uint8ClampedArray(4 * grey.length);
  for (let at = 0; at < grey.length; at += 1) {
    rgba[4 * at] = rgba[4 * at + 1] = rgba[4 * at + 2] = grey[at];
    rgba[4 * at + 3] = 255;
  }
  return rgba;
}

// Zero is transparent: the overlay grows with the map's magnitude, in the colour of its sign or of its size.
function paintMap(rgba, plane, map, limit, strength, colours, masked) {
  for (let at = 0; at < plane.coarse.length; at += 1) {
    const under = plane.coarse[at];
    if (masked && masked[under]) continue;
    const rank = map.ranks[under],
      size = Math.min(1, ((map.values[Math.abs(rank)] / 255) * map.limit) / limit);
    const weight = strength * Math.sqrt(size),
      place = 3 * Math.round(255 * size);
    for (let channel = 0; channel < 3; channel += 1) {
      const colour = map.signed ? (rank > 0 ? FOR : AGAINST)[channel] : colours[place + channel];
      rgba[4 * at + channel] += weight * (colour - rgba[4 * at + channel]);
    }
  }
}

function paintSet(rgba, plane, chosen, strength) {
  for (let at = 0; at < plane.coarse.length; at += 1) {
    if (!chosen[plane.coarse[at]]) continue;
    for (let channel = 0; channel < 3; channel += 1)
      rgba[4 * at + channel] += strength * (CHOSEN[channel] - rgba[4 * at + channel]);
  }
}

const asSet = (pixels, length) => {
  const set = new Uint8Array(length);
  for (const pixel of pixels) set[pixel] = 1;
  return set;
};

// The top share of a map. Regions are kept whole: all pixels of the last value that is needed.
function topOf(keys, share, whole) {
  const order = orderOf(keys),
    wanted = Math.max(1, Math.floor(share * keys.length + 0.5)),
    first = order.length - wanted;
  if (!whole) return asSet(order.subarray(first), keys.length);
  const last = keys[order[first]];
  return Uint8Array.from(keys, (key) => Number(key >= last));
}

function outline(context, mask, plane, zoom) {
  const { height, width, places } = plane;
  const inside = (row, column) =>
    row >= 0 && column >= 0 && row < height && column < width && mask[places[row * width + column]];
  context.beginPath();
  for (let row = 0; row <= height; row += 1) {
    for (let column = 0; column <= width; column += 1) {
      if (!inside(row, column) !== !inside(row - 1, column)) {
        context.moveTo(column * zoom, row * zoom);
        context.lineTo((column + 1) * zoom, row * zoom);
      }
      if (!inside(row, column) !== !inside(row, column - 1)) {
        context.moveTo(column * zoom, row * zoom);
        context.lineTo(column * zoom, (row + 1) * zoom);
      }
    }
  }
  for (const [colour, width_] of [
    ["#000", 3.5],
    ["#fff", 1.5],
  ]) {
    context.strokeStyle = colour;
    context.lineWidth = width_;
    context.stroke();
  }
}

// Puts pixels on a canvas, enlarged by whole numbers to about the size that is asked for.
function put(canvas, rgba, plane, size, smooth = false) {
  const { width, height } = plane,
    zoom = Math.max(1, Math.ceil(size / width));
  const small = new OffscreenCanvas(width, height);
  small.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  canvas.width = width * zoom;
  canvas.height = height * zoom;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = smooth;
  context.drawImage(small, 0, 0, canvas.width, canvas.height);
  return { context, zoom };
}
