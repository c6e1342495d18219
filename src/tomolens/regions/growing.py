"""XRAI's growing of regions on flat indices of pixels, whatever the number of axes; compiled.

It keeps each segment's sum and count of pixels not yet covered and updates them for newly covered pixels only. Such a
sum carries rounding with it, so it only says which segments may be the best; their means are then taken afresh, rounded
once. A segment whose uncovered pixels are all equal has exactly their value, and ties stay ties.
"""

import numpy as np
from numba import njit

EPSILON = float(np.finfo(np.float64).eps)


@njit(cache=True)
def dilated_pixels(labels, count, reach):  # type: ignore[no-untyped-def]
    """Flat pixel indices of each segment dilated by a ball, one segment after the other, and how many each has.

    Every run of a segment's pixels in a row is widened into the rows around it; pixels are marked with the segment's
    number and collected from its own box.
    """
    depth, height, width = labels.shape
    deep, radius = reach.shape[0] // 2, reach.shape[1] // 2
    wide = reach.max()
    box = np.empty((count, 6), dtype=np.int64)
    box[:, :3], box[:, 3:] = max(depth, height, width), -1
    for z in range(depth):
        for y in range(height):
            for x in range(width):
                s = labels[z, y, x]
                box[s, 0], box[s, 3] = min(box[s, 0], z), max(box[s, 3], z)
                box[s, 1], box[s, 4] = min(box[s, 1], y), max(box[s, 4], y)
                box[s, 2], box[s, 5] = min(box[s, 2], x), max(box[s, 5], x)
    marks = np.full((depth, height, width), -1, dtype=np.int32)
    lengths = np.zeros(count, dtype=np.int64)
    pixels = np.empty(2 * labels.size, dtype=np.int32)
    filled = 0
    for s in range(count):
        before = filled
        front, top, left, back, bottom, right = box[s]
        for z in range(front, back + 1):
            for y in range(top, bottom + 1):
                x = left
                while x <= right:
                    if labels[z, y, x] != s:
                        x += 1
                        continue
                    first = x
                    while x <= right and labels[z, y, x] == s:
                        x += 1
                    for slab in range(max(-deep, -z), min(deep, depth - 1 - z) + 1):
                        for row in range(max(-radius, -y), min(radius, height - 1 - y) + 1):
                            far = reach[slab + deep, row + radius]
                            if far >= 0:
                                marks[z + slab, y + row, max(0, first - far) : min(width, x + far)] = s
        for z in range(max(0, front - deep), min(depth, back + deep + 1)):
            for y in range(max(0, top - radius), min(height, bottom + radius + 1)):
                for x in range(max(0, left - wide), min(width, right + wide + 1)):
                    if marks[z, y, x] == s:
                        if filled == len(pixels):
                            longer = np.empty(2 * len(pixels), dtype=np.int32)
                            longer[:filled] = pixels
                            pixels = longer
                        pixels[filled] = (z * height + y) * width + x
                        filled += 1
        lengths[s] = filled - before
    return pixels[:filled], lengths


@njit(cache=True)
def owners_of(starts, pixels, count):  # type: ignore[no-untyped-def]
    """The segments that cover each pixel, in the order of their numbers: where each pixel's begin, and all of them."""
    owner_starts = np.zeros(count + 1, dtype=np.int64)
    for pixel in pixels:
        owner_starts[pixel + 1] += 1
    owner_starts = np.cumsum(owner_starts)
    free = owner_starts[:-1].copy()
    owners = np.empty(len(pixels), dtype=np.int32)
    for s in range(len(starts) - 1):
        for at in range(starts[s], starts[s + 1]):
            owners[free[pixels[at]]] = s
            free[pixels[at]] += 1
    return owner_starts, owners


@njit(cache=True)
def _mean(scores, pixels, covered):  # type: ignore[no-untyped-def]
    """Mean of the scores of the pixels that are not covered, rounded once: that of equal numbers is the number."""
    high, low, count = 0.0, 0.0, 0
    for pixel in pixels:
        if not covered[pixel]:
            value = scores[pixel]
            total = high + value  # two-sum (Knuth): what rounding leaves out is kept in `low`
            part = total - high
            low += (high - (total - part)) + (value - part)
            high = total
            count += 1
    if count == 0:
        return 0.0
    total = high + low
    low -= total - high
    mean = total / count
    # mean * count in two floats (Veltkamp's split of the 53 bits), so that the remainder of the division is exact.
    split = 134217729.0 * mean
    top = split - (split - mean)
    product = mean * count
    left_out = (top * count - product) + (mean - top) * count
    return mean + (((total - product) - left_out) + low) / count


@njit(cache=True)
def grown(scores, starts, pixels, owner_starts, owners, min_new_pixels):  # type: ignore[no-untyped-def]
    """The region map of some scores: the mean of the region with which each pixel was covered, see `xrai`."""
    count = len(starts) - 1
    sums, sizes, left = np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    for s in range(count):
        for at in range(starts[s], starts[s + 1]):
            sums[s] += scores[pixels[at]]
            sizes[s] += abs(scores[pixels[at]])
        left[s] = starts[s + 1] - starts[s]
    alive = np.ones(count, dtype=np.bool_)
    means, fresh = np.empty(count), np.zeros(count, dtype=np.int64)  # `fresh`: pixels left when the mean was taken
    roundings = 2 * left  # less the pixels left: additions that the running sum has seen, each of which may round
    covered = np.zeros(len(scores), dtype=np.bool_)
    regions = np.empty(len(scores))
    while True:
        best, gain = -1, -np.inf
        for s in range(count):
            if not alive[s]:
                continue
            if left[s] < min_new_pixels:
                alive[s] = False
                continue
            if fresh[s] == left[s]:
                most = means[s]
            else:
                most = (sums[s] + 2 * EPSILON * sizes[s] * (roundings[s] - left[s])) / left[s]
            # At a tie what is not fresh goes first, to be taken afresh; then the lowest number, as in PAIR's code.
            if most > gain or (most == gain and fresh[best] == left[best] and fresh[s] != left[s]):
                best, gain = s, most
        if best < 0:
            break
        members = pixels[starts[best] : starts[best + 1]]
        if fresh[best] != left[best]:
            means[best], fresh[best] = _mean(scores, members, covered), left[best]
            sums[best], roundings[best] = means[best] * left[best], left[best] + 2
            continue
        alive[best] = False
        for pixel in members:
            if not covered[pixel]:
                covered[pixel] = True
                regions[pixel] = gain
                for owner in range(owner_starts[pixel], owner_starts[pixel + 1]):
                    sums[owners[owner]] -= scores[pixel]
                    left[owners[owner]] -= 1
    rest = _mean(scores, np.arange(len(scores)), covered)
    for pixel in range(len(scores)):
        if not covered[pixel]:
            regions[pixel] = rest
    return regions
