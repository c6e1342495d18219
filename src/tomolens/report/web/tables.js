// Tables of numbers: sorting with the best first, and copies for a spreadsheet and a paper.

// Words before a number say what is behind it, and are no part of it.
function keyOf(cell) {
  const text = cell.textContent.replace(/^(not above|not told apart): /, "");
  const number = text.match(/^[<+]?\s*(-?\d+(\.\d+)?(e[+-]?\d+)?)(?![\w.])/i);
  return number ? Number(number[1]) : text;
}

function sortable(table) {
  const body = table.tBodies[0],
    study = [...body.rows];
  const headings = [...table.tHead.rows[0].cells],
    tools = table.closest(".scroll").previousElementSibling;
  const reset = tools.querySelector("[data-table=reset]");
  const put = (rows) => body.append(...rows);
  reset.addEventListener("click", () => {
    for (const one of headings) one.removeAttribute("aria-sort");
    reset.hidden = true;
    put(study);
  });
  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const keys = new Map(study.map((row) => [row, keyOf(row.cells[column])]));
      const numeric = [...keys.values()].some((key) => typeof key === "number");
      // The largest number or the first name comes first, and turns round with the next click.
      const first = numeric ? "descending" : "ascending",
        second = numeric ? "ascending" : "descending";
      const now = heading.getAttribute("aria-sort") === first ? second : first;
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", now);
      reset.hidden = false;
      put(
        [...study].sort((one, other) => {
          const [a, b] = [keys.get(one), keys.get(other)];
          if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
          const order = typeof a === "number" ? a - b : a.localeCompare(b);
          return now === "ascending" ? order : -order;
        }),
      );
    });
  });
}

const rowsOf = (table) =>
  [...table.querySelectorAll("thead tr, tbody tr:not([hidden])")].map((row) =>
    [...row.cells].map((cell) => cell.textContent.trim()),
  );

// A text that a spreadsheet would run gets an apostrophe, as in the study's own tables; numbers and intervals do not.
const NUMBER = "[+-]?\\d+(\\.\\d+)?([eE][+-]?\\d+)?",
  NUMBERS = new RegExp(`^${NUMBER}( to ${NUMBER})?( \\(${NUMBER} to ${NUMBER}\\))?( [A-Za-z]+)?$`);

function asCsv(rows) {
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) && !NUMBERS.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map((cell) => quoted(safe(cell))).join(",")).join("\r\n");
}

function asLatex(rows, caption) {
  const named = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "×": "$\\times$",
    "–": "--",
    τ: "$\\tau$",
  };
  const escaped = (text) =>
    text.replace(/\s+/g, " ").replace(/[\\~^<>|×–τ&%$#_{}]/g, (letter) => named[letter] ?? `\\${letter}`);
  // After the end of a row a bracket or star would be read as belonging to that.
  const lines = rows.map((row) => `${row.map(escaped).join(" & ").replace(/^(?=[[*])/, "{}")} \\\\`);
  const columns = rows[0].map((_, at) => (at < 2 ? "l" : "r")).join("");
  return [
    "\\begin{table}",
    "\\centering",
    `\\caption{${escaped(caption)}}`,
    `\\begin{tabular}{${columns}}`,
    "\\toprule",
    lines[0],
    "\\midrule",
    ...lines.slice(1),
    "\\bottomrule",
    "\\end{tabular}",
    "\\end{table}",
    "",
  ].join("\n");
}

for (const table of document.querySelectorAll("table.sortable")) {
  // On a phone each row is a card, whose cells say what they are.
  const names = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  for (const row of table.tBodies[0].rows)
    names.forEach((name, at) => {
      if (row.cells[at]) row.cells[at].dataset.label = name;
    });
  sortable(table);
  const title = table.caption.textContent,
    file =
      title
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "") || "table";
  const does = {
    csv: () => save(asCsv(rowsOf(table)), `${file}.csv`, "text/csv"),
    latex: () => copy(asLatex(rowsOf(table), title), "LaTeX table"),
    copy: () =>
      copy(
        rowsOf(table)
          .map((row) => row.join("\t"))
          .join("\n"),
        "table",
      ),
  };
  for (const [kind, act] of Object.entries(does)) {
    table
      .closest(".scroll")
      .previousElementSibling.querySelector(`[data-table=${kind}]`)
      .addEventListener("click", act);
  }
}
