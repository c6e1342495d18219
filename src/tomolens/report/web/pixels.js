// The pixels of a case: unpacked, put in order, cut into planes. Arrays lie slice by slice, row by row.

// Base 85: five digits are four bytes, the first the highest; what lacks at the end is as if of the last digit.
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~";

function bytesOf(text) {
  const worth = new Uint8Array(128),
    whole = Math.ceil(text.length / 5),
    bytes = new DataView(new ArrayBuffer(4 * whole));
  [...DIGITS].forEach((digit, value) => (worth[digit.charCodeAt(0)] = value));
  for (let group = 0; group < whole; group += 1) {
    let number = 0;
    for (let at = 5 * group; at < 5 * group + 5; at += 1)
      number = 85 * number + (at < text.length ? worth[text.charCodeAt(at)] : 84);
    bytes.setUint32(4 * group, number);
  }
  return new Uint8Array(bytes.buffer, 0, Math.floor((text.length * 4) / 5));
}

async function unpack(one) {
  const stream = new Blob([bytesOf(one.data)]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const pixels = one.depth * one.rows * one.columns,
    fine = pixels * one.fine ** 2;
  let at = 0;
  const take = (length) => bytes.subarray(at, (at += length));
  const channels = one.fill.map(() => take(fine));
  const mask = one.mask ? take(fine) : null,
    twin = one.twin ? take(fine).map((more, pixel) => more + channels[0][pixel]) : null;
  const maps = {},
    steps = {},
    regions = {};
  for (const { key, limit, signed } of one.maps) {
    maps[key] = { ranks: new Int8Array(take(pixels)), values: take(128), limit, signed };
  }
  // At which step a pixel goes is told by its level, but for a few.
  for (const key of one.steps) {
    const { ranks } = maps[key] || maps[`${key.split("/")[0]}/original`],
      table = take(256),
      rest = new Int8Array(take(pixels));
    steps[key] = Uint8Array.from(rest, (more, pixel) => table[ranks[pixel] + 128] + more);
  }
  for (const key of one.regions) regions[key] = take(pixels);
  const along = {};
  for (const key of one.along)
    along[key] = [0, 1].map(() => Array.from(take(one.points), (part) => (part === 255 ? null : part / 254)));
  const correct = {};
  for (const key of one.correct) correct[key] = [0, 1].map(() => take(one.points).join(""));
  const size = [one.depth, one.rows * one.fine, one.columns * one.fine];
  return {
    channels,
    mask,
    twin,
    maps,
    steps,
    regions,
    along,
    correct,
    size,
    coarse: [one.depth, one.rows, one.columns],
    fine: one.fine,
  };
}

// Pixels from least to most important: one counting sort over the bytes of a map.
function orderOf(keys) {
  const starts = new Uint32Array(257);
  for (const key of keys) starts[key + 1] += 1;
  for (let key = 0; key < 256; key += 1) starts[key + 1] += starts[key];
  const order = new Uint32Array(keys.length);
  keys.forEach((key, pixel) => {
    order[starts[key]++] = pixel;
  });
  return order;
}

// A plane through a stack: across the slices (0), the rows (1) or the columns (2), as places in its array.
// Image and mask may be finer than the maps within a slice: `coarse` is the map's pixel under each of theirs.
function planeAt(planes, axis, index) {
  const [depth, rows, columns] = planes.size,
    [, coarseRows, coarseColumns] = planes.coarse,
    { fine } = planes;
  const height = axis === 0 ? rows : depth,
    width = axis === 2 ? rows : columns;
  const places = new Uint32Array(height * width),
    coarse = new Uint32Array(height * width);
  for (let down = 0; down < height; down += 1) {
    for (let over = 0; over < width; over += 1) {
      // Feet below: the first slice of an upright plane is its last row.
      const slice = axis === 0 ? index : depth - 1 - down;
      const row = axis === 0 ? down : axis === 1 ? index : over,
        column = axis === 2 ? index : over;
      places[down * width + over] = (slice * rows + row) * columns + column;
      coarse[down * width + over] =
        (slice * coarseRows + Math.floor(row / fine)) * coarseColumns + Math.floor(column / fine);
    }
  }
  return { height, width, places, coarse };
}

// The map behind a name: the absolute one has pixels of its own where it is more than the other's magnitude.
function mapOf(planes, key) {
  const [estimator, form] = key.split("/");
  const own = planes.maps[key],
    map = own || planes.maps[`${estimator}/original`];
  return map && { ...map, signed: map.signed && Boolean(own) && form !== "absolute" };
}

// How important each pixel is, as a byte: by sign and rank, or by rank alone.
const keysOf = (map) => Uint8Array.from(map.ranks, map.signed ? (rank) => rank + 128 : Math.abs);

// At which step of the masking each pixel goes: as the network saw it where that is kept, else by the map's own bytes.
function stepsOf(planes, key, count) {
  const known = planes.steps[key] || planes.steps[`${key.split("/")[0]}/original`];
  const map = mapOf(planes, key);
  if (planes.steps[key] || (known && map && !map.signed && !planes.steps[`${key.split("/")[0]}/absolute`]))
    return { steps: known, exact: true };
  if (!map) return { steps: null, exact: false };
  const order = orderOf(keysOf(map)),
    steps = new Uint8Array(order.length);
  order.forEach((pixel, place) => {
    steps[pixel] = Math.ceil(((order.length - place) / order.length) * count);
  });
  return { steps, exact: false };
}

// Whether a pixel is masked: the least important go first where the order is turned round.
const isMasked = (step, at, count, turned) => (turned ? step > count - at : step <= at);

// A decision is kept as right or wrong about the explained class: it is right where that class is decided and true, or
// neither. Of three classes or more that says which class is decided only where it is the explained one.
function decision(classes, { label, predicted, explained }, right) {
  if (classes.length === 2)
    return `The network says ${right ? `${classes[label]} (right)` : `${classes[1 - label]} (wrong)`}`;
  const says = right === (label === explained),
    still = predicted === explained;
  const verb = says ? (still ? "still says" : "says") : still ? "no longer says" : "does not say";
  return `The network ${verb} ${classes[explained]} (${right ? "right" : "wrong"} about it)`;
}

// When a decision first turns; of three classes or more what turns is whether it is the explained one.
function turning(classes, { predicted, explained }, at) {
  const known = classes.length === 2 || predicted === explained;
  if (at === null) return known ? "It never changes its mind." : `It never says ${classes[explained]}.`;
  return `It first ${known ? "changes its mind" : `says ${classes[explained]}`} at ${at}.`;
}
