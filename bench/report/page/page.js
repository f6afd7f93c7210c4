// Sorts and filters the table of cells. Without this script, it shows all cells and columns.

const collator = new Intl.Collator("en", { numeric: true });
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };

/** Return the sort key of a row in a column; undefined if the row has no value. */
function key(row, column, isText) {
  const cell = row.cells[column];
  if (isText) return cell.textContent;
  return cell.dataset.value === undefined ? undefined : Number(cell.dataset.value);
}

/** Return a comparison of rows by a column; rows without a value come last in both directions. */
function by(column, isText, sign) {
  return (left, right) => {
    const [a, b] = [key(left, column, isText), key(right, column, isText)];
    if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
    return sign * (isText ? collator.compare(a, b) : a - b);
  };
}

/** Sort by a click on a heading: ascending, then descending, then in the original order. */
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

/** Show only rows that contain every word of the text and match the selected values. */
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
  form.addEventListener("reset", () => setTimeout(apply)); // after the fields are cleared
  form.hidden = false;
  apply(); // the browser may have kept the values of the last visit
}

/** Show only the most important columns until the button is pressed. */
function brief(table, button) {
  function apply(all) {
    button.setAttribute("aria-pressed", all);
    table.classList.toggle("brief", !all);
  }

  button.addEventListener("click", () => apply(button.getAttribute("aria-pressed") === "false"));
  apply(false);
}

const table = document.querySelector("table.sortable");
if (table) {
  sorted(table);
  const form = document.querySelector("form.filters");
  filtered(table, form);
  if (form.elements.columns) brief(table, form.elements.columns);
}
