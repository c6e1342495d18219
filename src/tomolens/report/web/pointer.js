// What a mouse, pen or finger does in a picture: it points, changes the window, or moves and enlarges all pictures.

class Pointer {
  constructor(pane) {
    Object.assign(this, { pane, bench: pane.bench, touches: new Map(), from: null });
    const { frame } = pane;
    for (const [name, does] of Object.entries({
      pointerdown: this.down,
      pointermove: this.move,
      pointerup: this.up,
      pointercancel: this.up,
      pointerleave: this.leave,
      dblclick: this.reset,
      wheel: this.wheel,
    }))
      frame.addEventListener(name, does.bind(this), { passive: false });
    // One finger may scroll the page, two are for the picture.
    const kept = (event) => {
      if (event.touches.length > 1 && event.cancelable) event.preventDefault();
    };
    for (const name of ["touchstart", "touchmove"]) frame.addEventListener(name, kept, { passive: false });
  }

  down(event) {
    this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.target.setPointerCapture) event.target.setPointerCapture(event.pointerId);
    this.swipe = event.pointerType === "touch" && this.touches.size === 1 ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
    this.begin();
    this.point(event);
  }

  // Where fingers are, and what was shown when the last of them came or went.
  begin() {
    const { level, width } = this.bench.controls;
    this.from = {
      ...this.fingers(),
      level: Number(level.value),
      width: Number(width.value),
      view: { ...this.bench.view },
    };
  }

  // The middle of the fingers and how far apart two of them are.
  fingers() {
    const [one, other = one] = [...this.touches.values()];
    return { x: (one[0] + other[0]) / 2, y: (one[1] + other[1]) / 2, apart: Math.hypot(one[0] - other[0], one[1] - other[1]) };
  }

  move(event) {
    if (this.touches.has(event.pointerId)) this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    this.point(event);
    if (!this.from || !this.touches.size) return;
    const { bench, from, pane } = this,
      { clientWidth, clientHeight } = pane.frame,
      now = this.fingers();
    if (this.touches.size > 1) {
      if (from.apart) this.pinch(now);
      return;
    }
    const across = (now.x - from.x) / clientWidth,
      down = (now.y - from.y) / clientHeight;
    const tool = event.shiftKey ? "move" : this.tool(event);
    if (tool === "move") bench.moveTo(from.view.x + across, from.view.y + down);
    if (tool !== "window") return;
    const { low, high } = bench.channel(),
      { level, width } = bench.controls;
    width.value = from.width + across * (high - low);
    level.value = from.level + down * (high - low) * (clientHeight / clientWidth);
    bench.draw();
  }

  // A finger on an enlarged picture moves it.
  tool(event) {
    const chosen = this.bench.controls.tool.value;
    return event.pointerType === "touch" && chosen === "point" && this.bench.view.zoom > 1 ? "move" : chosen;
  }

  // What was between the fingers stays there.
  pinch(now) {
    const { bench, from, pane } = this,
      box = pane.frame.getBoundingClientRect();
    const place = (fingers) => [(fingers.x - box.left) / box.width - 0.5, (fingers.y - box.top) / box.height - 0.5];
    const [before, after] = [place(from), place(now)];
    bench.zoom((from.view.zoom * now.apart) / from.apart);
    const ratio = bench.view.zoom / from.view.zoom;
    bench.moveTo(after[0] - (before[0] - from.view.x) * ratio, after[1] - (before[1] - from.view.y) * ratio);
  }

  up(event) {
    this.touches.delete(event.pointerId);
    if (event.type === "pointerup" && this.swipe && this.bench.view.zoom === 1 && this.tool(event) === "point") {
      const by = swiped(this.swipe, event);
      if (by) turn(this.bench, by, this.pane);
    }
    this.swipe = null;
    if (this.touches.size) this.begin();
    else this.from = null;
  }

  leave(event) {
    if (event.pointerType === "mouse" && !this.from) this.bench.cross = false;
    this.bench.crossed();
  }

  reset() {
    rewindow(this.bench);
    this.bench.zoom(1);
    this.bench.draw();
  }

  wheel(event) {
    if (event.ctrlKey) this.bench.zoom(this.bench.view.zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
    else if (this.bench.data.depth > 1 && document.activeElement === this.pane.canvas)
      this.bench.step(this.pane.axis, Math.sign(event.deltaY));
    else return;
    event.preventDefault();
  }

  // Where the pointer is in the case, in all pictures.
  point(event) {
    const { pane, bench } = this,
      box = pane.frame.getBoundingClientRect(),
      { zoom, x, y } = bench.view;
    if (!pane.plane) return;
    const part = (place, shift) => (place - shift - 0.5) / zoom + 0.5;
    const over = part((event.clientX - box.left) / box.width, x),
      down = part((event.clientY - box.top) / box.height, y);
    if (over < 0 || down < 0 || over >= 1 || down >= 1) return;
    const { height, width } = pane.plane,
      column = Math.floor(over * width),
      row = Math.floor(down * height),
      at = [...bench.at];
    if (pane.axis === 0) [at[1], at[2]] = [row, column];
    if (pane.axis === 1) [at[0], at[2]] = [height - 1 - row, column];
    if (pane.axis === 2) [at[0], at[1]] = [height - 1 - row, column];
    const moved =
      bench.planar() &&
      (event.type === "pointerdown" || this.touches.size) &&
      at.some((one, axis) => one !== bench.at[axis]);
    bench.at = bench.planar() && !this.touches.size && event.type !== "pointerdown" ? bench.at : at;
    bench.cross = true;
    bench.controls.slice.value = bench.at[0];
    if (moved) bench.draw();
    else bench.crossed();
  }
}
