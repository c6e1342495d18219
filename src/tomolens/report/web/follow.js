// One map is followed through the page: in the ranking, tables and charts, and in the viewer's pictures.

const follow = {
  key: "",
  others: [],
  choose(key, told = true) {
    this.key = key === this.key && told ? "" : key;
    const estimator = this.key.split("/")[0],
      both = this.key.endsWith("/both");
    const is = (one) =>
      this.key && (one === this.key || ((both || one.endsWith("/both")) && one.split("/")[0] === estimator));
    for (const one of document.querySelectorAll("[data-map]"))
      one.classList.toggle("followed-map", Boolean(is(one.dataset.map)));
    for (const one of document.querySelectorAll("[data-estimator]:not([data-map])")) {
      one.classList.toggle("followed-map", Boolean(this.key) && one.dataset.estimator === estimator);
    }
    for (const button of document.querySelectorAll(".follow")) {
      button.setAttribute("aria-pressed", String(Boolean(is(button.closest("[data-map]").dataset.map))));
    }
    document.body.classList.toggle("following", Boolean(this.key));
    for (const one of this.others) one(this.key, told);
    const button = [...document.querySelectorAll(".follow[aria-pressed=true]")][0];
    const said = document.querySelector(".followed");
    if (said)
      said.textContent = button ? `Followed through the page: ${button.textContent}. Another click ends it.` : "";
  },
};

document.addEventListener("click", (event) => {
  const of = event.target.closest(
    ".follow, polyline[data-map], .point[data-map], .versus[data-map], .chart .panel[data-estimator] .panel-title",
  );
  if (!of) return;
  const holder = of.closest("[data-map]");
  const panel = of.closest(".panel");
  const key = holder ? holder.dataset.map : panel.querySelector("[data-map]")?.dataset.map;
  if (key) follow.choose(key);
});

// The ranking by any of its views, the best first; its first heading or another click bring the study's order back.
function sortRanking(table) {
  const order = new Map([...table.querySelectorAll("tbody tr")].map((row, at) => [row, at]));
  for (const button of table.querySelectorAll("thead button[data-sort]")) {
    button.addEventListener("click", () => {
      const cell = button.closest("th"),
        by = cell.ariaSort === "descending" ? "study" : button.dataset.sort;
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      if (by !== "study") cell.setAttribute("aria-sort", "descending");
      const number = (row) => Number(row.cells[Number(by) + 1]?.dataset.sort ?? -Infinity);
      for (const body of table.tBodies) {
        const rows = [...body.rows].filter((row) => !row.classList.contains("divider"));
        rows.sort((a, b) => (by === "study" ? 0 : number(b) - number(a)) || order.get(a) - order.get(b));
        body.append(...rows);
      }
    });
  }
}
document.querySelectorAll("table.ranking").forEach(sortRanking);
for (const cell of document.querySelectorAll(".ranking td[data-sort]")) {
  cell.title = `${cell.closest("tr").cells[0].textContent.trim()}: ${cell.querySelector(".unseen").textContent}`;
}
