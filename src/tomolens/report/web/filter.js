
// Which maps are shown: in tables, charts and the viewer's menus, by their group and by a part of their name.
class Filter {
  constructor(form, titles) {
    Object.assign(this, { form, titles: [...titles].sort((a, b) => b.length - a.length) });
    form.addEventListener("input", () => this.apply());
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => this.apply()));
    this.apply();
  }

  // The estimator that a row or line is of: its title, or its title with the form behind it.
  titleIn(text) {
    return this.titles.find((title) => text === title || text.startsWith(`${title} (`));
  }

  chosen() {
    const { group, named } = this.form.elements, words = named.value.trim().toLowerCase();
    const ofGroup = group.value ? JSON.parse(group.value) : this.titles;
    return new Set(ofGroup.filter((title) => title.toLowerCase().includes(words)));
  }

  apply() {
    const chosen = this.chosen(), all = chosen.size === this.titles.length;
    const shows = (text) => all || !this.titleIn(text) || chosen.has(this.titleIn(text));
    for (const row of document.querySelectorAll("table.sortable tbody tr")) {
      row.hidden = ![...row.cells].slice(0, 2).every((cell) => shows(cell.textContent.trim())); // a measure may come first
    }
    for (const option of document.querySelectorAll("[data-pane=estimator] option")) option.hidden = !shows(option.textContent);
    for (const place of document.querySelectorAll(".chart")) this.draw(place, shows, all);
    this.form.querySelector("[data-says=shown]").textContent = all ? "" : `${chosen.size} of ${this.titles.length} estimators`;
  }

  // What is chosen is drawn, the rest neither drawn nor named; with everything chosen as at first.
  draw(place, shows, all) {
    if (!place.data) return;
    place.first ||= place.data.map((trace) => (trace.visible === undefined ? true : trace.visible));
    const visible = place.data.map((trace, at) => {
      const name = trace.legendgroup || trace.name;
      if (all || !name || !this.titleIn(name)) return place.first[at];
      return shows(name);
    });
    Plotly.restyle(place, { visible });
  }
}

if (byId("filter")) new Filter(byId("filter"), JSON.parse(byId("titles").innerHTML));
