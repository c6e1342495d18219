// Which maps are shown: in tables, charts and the viewer's menus, by their group and by a part of their name.
class Filter {
  constructor(form, titles) {
    Object.assign(this, { form, titles: [...titles].sort((a, b) => b.length - a.length) });
    form.addEventListener("input", () => this.apply());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => this.apply()));
    Filter.now = this;
    this.apply();
  }

  // The estimator that a row or line is of: its title, or its title with the form behind it.
  titleIn(text) {
    return this.titles.find((title) => text === title || text.startsWith(`${title} (`));
  }

  chosen() {
    const { group, named } = this.form.elements,
      words = named.value.trim().toLowerCase();
    const ofGroup = group.value ? JSON.parse(group.value) : this.titles;
    return new Set(ofGroup.filter((title) => title.toLowerCase().includes(words)));
  }

  shows() {
    const chosen = this.chosen();
    return (text) => chosen.size === this.titles.length || !this.titleIn(text) || chosen.has(this.titleIn(text));
  }

  // The strip is drawn anew with each case.
  strip(shows = this.shows()) {
    for (const cell of document.querySelectorAll(".strip .cell"))
      cell.hidden = !shows(cell.querySelector(".name").textContent);
  }

  apply() {
    const { size } = this.chosen(),
      shows = this.shows();
    for (const row of document.querySelectorAll("table.sortable tbody tr")) {
      row.hidden = ![...row.cells].slice(0, 2).every((cell) => shows(cell.textContent.trim())); // a measure may come first
    }
    document.querySelectorAll("table.sortable").forEach(countRows);
    for (const row of document.querySelectorAll("table.ranking tr[data-title]")) row.hidden = !shows(row.dataset.title);
    for (const option of document.querySelectorAll("[data-pane=map] option"))
      option.hidden = !shows(option.textContent);
    this.strip(shows);
    for (const panel of document.querySelectorAll(".chart .panel[data-estimator]"))
      panel.hidden = !shows(panel.querySelector(".panel-title span").textContent);
    for (const point of document.querySelectorAll(".chart .point"))
      point.classList.toggle("left-out", !shows(point.querySelector("text").textContent));
    this.form.querySelector("[data-says=shown]").textContent =
      size === this.titles.length ? "" : `${size} of ${this.titles.length} estimators`;
  }
}
