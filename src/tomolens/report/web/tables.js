// Tables of numbers: sorting with the best first, and copies for a spreadsheet and a paper.

// A number at the beginning of a cell is what it is sorted by.
function keyOf(cell) {
  const text = cell.textContent,
    number = text.match(/^[<+]?\s*(-?\d+(\.\d+)?(e[+-]?\d+)?)(?![\w.])/i);
  return number ? Number(number[1]) : text;
}

// What comes first with the first click: the best number, or the first name.
function wayOf(heading, cells) {
  const numeric = cells.some((cell) => typeof keyOf(cell) === "number");
  if (!numeric) return { first: "ascending", words: ["from A to Z", "from Z to A"] };
  const low = heading.dataset.better === "low",
    by = cells.some((cell) => / to -?\d/.test(cell.textContent) && !/\(/.test(cell.textContent)) ? "by the lower end, " : "";
  const words = [`${by}largest first`, `${by}smallest first`];
  return low ? { first: "ascending", words: words.reverse() } : { first: "descending", words };
}

// A click sorts a table with the best first, a second one turns it round, a third brings the study's order back.
function sortable(table) {
  const body = table.tBodies[0],
    study = [...body.rows],
    tools = table.closest(".scroll").previousElementSibling;
  const headings = [...table.tHead.rows[0].cells],
    says = tools.querySelector("[data-says=sorted]"),
    menu = tools.querySelector("[data-table=by]");
  const sort = (column, clicks) => {
    const heading = headings[column],
      way = heading && wayOf(heading, study.map((row) => row.cells[column]));
    for (const other of headings) other.removeAttribute("aria-sort");
    menu.value = clicks ? column : "";
    if (!clicks) {
      body.append(...study);
      says.textContent = "in the study’s order again";
      return;
    }
    const now = (clicks === 1) === (way.first === "ascending") ? "ascending" : "descending",
      keys = new Map(study.map((row) => [row, keyOf(row.cells[column])]));
    heading.setAttribute("aria-sort", now);
    says.textContent = `sorted by ${heading.textContent.trim()}, ${way.words[clicks - 1]}`;
    const rows = [...study].sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
      const order = typeof a === "number" ? a - b : a.localeCompare(b);
      return now === "ascending" ? order : -order;
    });
    body.append(...rows);
  };
  let last = { column: -1, clicks: 0 };
  menu.append(make("option", { value: "", textContent: "the study’s order" }));
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    menu.append(make("option", { value: column, textContent: heading.textContent }));
    button.addEventListener("click", () => {
      last = { column, clicks: last.column === column ? (last.clicks + 1) % 3 : 1 };
      sort(column, last.clicks);
    });
  });
  menu.addEventListener("change", () => {
    last = { column: Number(menu.value), clicks: menu.value === "" ? 0 : 1 };
    sort(last.column, last.clicks);
  });
}

// How many rows a filter or a search leaves, beside the table and where it is folded; nothing where all are shown.
function countRows(table) {
  const rows = [...table.tBodies[0].rows],
    left = rows.filter((row) => !row.hidden && !row.classList.contains("other")).length;
  const says = [
    table.closest(".scroll").previousElementSibling.querySelector("[data-says=rows]"),
    table.closest("details")?.querySelector("summary [data-says=rows]"),
  ];
  const words = `${left} of ${rows.length} rows shown`;
  for (const one of says) if (one) one.textContent = left === rows.length ? "" : one.closest("summary") ? `, ${words}` : words;
}

// Of many rows those that have all words that are asked for.
const MANY_ROWS = 60;

function searchable(table) {
  const rows = [...table.tBodies[0].rows],
    tools = table.closest(".scroll").previousElementSibling;
  if (rows.length <= MANY_ROWS) return;
  const title = table.caption.textContent,
    box = make("input", { type: "search", placeholder: "rows with ...", autocomplete: "off", "aria-label": `rows of ${title} with these words` });
  const texts = new Map(rows.map((row) => [row, [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase()]));
  box.addEventListener("input", () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) row.classList.toggle("other", !words.every((word) => texts.get(row).includes(word)));
    countRows(table);
  });
  tools.append(box);
}

const rowsOf = (table) =>
  [...table.querySelectorAll("thead tr, tbody tr:not([hidden], .other)")].map((row) =>
    [...row.cells].filter((cell) => !cell.classList.contains("drawn")).map((cell) => cell.textContent.trim()),
  );

// For a spreadsheet a mark behind a number stands in a column of its own, and what all rows have in common in others.
function spreadsheetOf(table) {
  const [names, ...rows] = rowsOf(table),
    common = Object.entries(JSON.parse(table.dataset.common || "{}"));
  const parts = (cell) => {
    const mark = /^(.*?) ([†‡])$/.exec(cell);
    return mark ? [mark[1], mark[2]] : [cell, ""];
  };
  const marked = names.map((_, at) => rows.some((row) => parts(row[at])[1]));
  return [
    [...names.flatMap((name, at) => (marked[at] ? [name, `${name}, mark`] : [name])), ...common.map(([name]) => name)],
    ...rows.map((row) => [
      ...row.flatMap((cell, at) => (marked[at] ? parts(cell) : [cell])),
      ...common.map(([, value]) => String(value)),
    ]),
  ];
}

// A text that a spreadsheet would run gets an apostrophe, as in the study's own tables; numbers and intervals do not.
const NUMBER = "[+-]?\\d+(\\.\\d+)?([eE][+-]?\\d+)?",
  NUMBERS = new RegExp(`^${NUMBER}( to ${NUMBER})?( \\(${NUMBER} to ${NUMBER}\\))?( [A-Za-z]+)?$`);

function asCsv(rows) {
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) && !NUMBERS.test(text) ? `'${text}` : text);
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return rows.map((row) => row.map((cell) => quoted(safe(cell))).join(",")).join("\r\n");
}

function asLatex(rows, caption, words = 2) {
  const named = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    "×": "$\\times$",
    "†": "\\dag{}",
    "‡": "\\ddag{}",
    "–": "--",
    τ: "$\\tau$",
  };
  const escaped = (text) =>
    text.replace(/\s+/g, " ").replace(/[\\~^<>|×†‡–τ&%$#_{}]/g, (letter) => named[letter] ?? `\\${letter}`);
  // After the end of a row a bracket or star would be read as belonging to that.
  const lines = rows.map((row) => `${row.map(escaped).join(" & ").replace(/^(?=[[*])/, "{}")} \\\\`);
  const columns = rows[0].map((_, at) => (at < words ? "l" : "r")).join("");
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
  searchable(table);
  const title = table.caption.textContent,
    note = table.closest(".scroll").nextElementSibling?.matches(".table-note")
      ? table.closest(".scroll").nextElementSibling.textContent.replace(/\.$/, "")
      : "",
    file =
      title
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, "-")
        .replace(/^-|-$/g, "") || "table";
  const does = {
    csv: () => save(asCsv(spreadsheetOf(table)), `${file}.csv`, "text/csv"),
    latex: () => {
      const words = table.tHead.querySelectorAll("th.words").length;
      copy(asLatex(rowsOf(table), [title, note].filter(Boolean).join(". "), words), "LaTeX table");
    },
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
