// What fingers do on a phone beside the pictures: a swipe turns to the next case, a sheet has the controls.

const QUICK = 600,
  FAR = 45;

// 1 for a swipe to the left, as to the next page, -1 for one to the right, 0 for what is none.
function swiped(from, event) {
  const across = event.clientX - from.x,
    down = event.clientY - from.y;
  if (event.timeStamp - from.at > QUICK || Math.abs(across) < FAR || Math.abs(across) < 2 * Math.abs(down)) return 0;
  return across < 0 ? 1 : -1;
}

function onSwipe(element, act) {
  let from = null;
  element.addEventListener("pointerdown", (event) => {
    from = event.pointerType === "touch" ? { x: event.clientX, y: event.clientY, at: event.timeStamp } : null;
  });
  element.addEventListener("pointerup", (event) => {
    const by = from ? swiped(from, event) : 0;
    from = null;
    if (by) act(by);
  });
}

// The sheet below the pictures: what masks pixels is always in reach, the rest comes up with its handle.
function sheet(side) {
  const handle = side.querySelector(".handle");
  const open = (is) => {
    side.classList.toggle("open", is);
    handle.setAttribute("aria-expanded", String(is));
    if (!is) side.scrollTop = 0;
  };
  handle.addEventListener("click", () => open(!side.classList.contains("open")));
  side.addEventListener("focusin", (event) => {
    if (event.target.closest(".controls")) open(true);
  });
}
