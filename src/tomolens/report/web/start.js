// What the page does when it opens.

const theme = byId("theme");
theme.addEventListener("change", () => {
  document.documentElement.dataset.theme = theme.value;
  try {
    localStorage.setItem("theme", theme.value);
  } catch {
    /* a page from a disk may have no storage */
  }
});
try {
  theme.value = localStorage.getItem("theme") ?? "";
  document.documentElement.dataset.theme = theme.value;
} catch {
  /* likewise */
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => {
    const text = byId(button.dataset.copy).cloneNode(true);
    for (const one of text.querySelectorAll(".meaning")) one.remove();
    const words = text.children.length
      ? [...text.children].map((one) => one.textContent.trim()).join("\n\n")
      : text.textContent;
    copy(words, button.textContent.replace("copy the ", ""));
  });
}

// What is printed is whole: everything that is folded opens, but for tables that would fill page after page.
const PRINTED = 60;
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")].filter(
    (one) => !one.closest(".workbench, .all-pairs") && one.querySelectorAll("tbody tr").length <= PRINTED,
  );
  for (const one of folded) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of folded) one.open = false;
});

if (byId("viewer")) {
  const bench = new Workbench(byId("viewer"), content("cases"));
  if (byId("shown-by-example")) new Scrubber(bench);
}
// What is jumped to is seen below the bars that stay in sight.
const bars = [document.querySelector(".contents"), byId("filter")].filter(Boolean);
const room = new ResizeObserver(() => {
  const height = bars.reduce((sum, bar) => sum + bar.offsetHeight, 8);
  document.documentElement.style.scrollPaddingTop = `${height}px`;
});
for (const bar of bars) room.observe(bar);

if (byId("filter")) new Filter(byId("filter"), JSON.parse(byId("titles").innerHTML));
