// The table of cells: sorted by a heading, filtered by text and by choice. Without this it is whole.

const collator = new Intl.Collator("en", { numeric: true });
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

/** What a row is sorted by in a column; undefined where it has no value. */
function key(row, column, isText) {
  const cell = row.cells[column];
  if (isText) return cell.textContent;
  return cell.dataset.value === undefined ? undefined : Number(cell.dataset.value);
}

/** An order of rows by a column, in which those without a value come last, up or down. */
function by(column, isText, sign) {
  return (left, right) => {
    const [a, b] = [key(left, column, isText), key(right, column, isText)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (isText ? collator.compare(a, b) : a - b);
  };
}

/** Sort by each heading in turn: up, down, and as the run had them. */
function sorted(table) {
  const [body] = table.tBodies;
  const headings = [...table.tHead.rows[0].cells];
  const original = [...body.rows];

  headings.forEach((heading, column) => {
    heading.querySelector("button").addEventListener("click", () => {
      const order = NEXT[heading.getAttribute("aria-sort") ?? "none"];
      for (const other of headings) other.removeAttribute("aria-sort");
      if (order !== "none") heading.setAttribute("aria-sort", order);
      const sign = order === "descending" ? -1 : 1;
      const isText = heading.classList.contains("text");
      const rows = order === "none" ? original : original.toSorted(by(column, isText, sign));
      body.append(...rows);
    });
  });
}

/** Show the rows that have every word of the text, and what was chosen. */
function filtered(table, form) {
  const rows = [...table.tBodies[0].rows];
  const shown = form.querySelector("[role=status]");

  function apply() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = [...form.querySelectorAll("select")].filter((select) => select.value);
    let count = 0;
    for (const row of rows) {
      const text = `${row.dataset.arch} ${row.dataset.mode}`.toLowerCase();
      const fits =
        words.every((word) => text.includes(word)) &&
        chosen.every((select) => row.dataset[select.name] === select.value);
      row.hidden = !fits;
      count += fits;
    }
    const noun = rows.length === 1 ? "cell" : "cells";
    shown.textContent =
      count === rows.length ? `${count} ${noun}` : `${count} of ${rows.length} ${noun}`;
  }

  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply)); // by then the fields are empty
  form.hidden = false;
  apply(); // a browser may have kept the fields of the last visit
}

const table = document.querySelector("table.sortable");
if (table) {
  sorted(table);
  filtered(table, document.querySelector("form.filters"));
}
