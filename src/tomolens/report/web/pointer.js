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
  }

  down(event) {
    this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    if (event.target.setPointerCapture) event.target.setPointerCapture(event.pointerId);
    const { level, width } = this.bench.controls;
    this.from = {
      x: event.clientX,
      y: event.clientY,
      level: Number(level.value),
      width: Number(width.value),
      view: { ...this.bench.view },
      apart: this.apart(),
    };
    this.point(event);
  }

  apart() {
    const [one, other] = [...this.touches.values()];
    return other ? Math.hypot(one[0] - other[0], one[1] - other[1]) : 0;
  }

  move(event) {
    if (this.touches.has(event.pointerId)) this.touches.set(event.pointerId, [event.clientX, event.clientY]);
    this.point(event);
    if (!this.from || !this.touches.size) return;
    const { bench, from, pane } = this,
      { clientWidth, clientHeight } = pane.frame;
    const across = (event.clientX - from.x) / clientWidth,
      down = (event.clientY - from.y) / clientHeight;
    if (this.touches.size > 1) {
      if (from.apart) bench.zoom((from.view.zoom * this.apart()) / from.apart);
      return;
    }
    const tool = event.shiftKey ? "move" : bench.controls.tool.value;
    if (tool === "move") bench.moveTo(from.view.x + across, from.view.y + down);
    if (tool !== "window") return;
    const { low, high } = bench.channel(),
      { level, width } = bench.controls;
    width.value = from.width + across * (high - low);
    level.value = from.level + down * (high - low) * (clientHeight / clientWidth);
    bench.draw();
  }

  up(event) {
    this.touches.delete(event.pointerId);
    if (!this.touches.size) this.from = null;
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
