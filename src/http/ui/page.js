// What the pages do beyond what the server wrote: they work without it.
"use strict";

const find = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Page of targets: a filter over the rows that are there.
function applyFilter() {
  const filter = find("#filter");
  if (!filter) return;
  filter.hidden = false;
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all("tr[data-labels]");
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.labels.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) shown += 1;
  }
  find("#shown").textContent = shown === rows.length ? `${shown}` : `${shown} of ${rows.length}`;
}

// Page of targets: the newest numbers, in place of those shown. Everything that was typed or has the
// focus stays; while the page is hidden nothing is asked for.
async function refresh(main) {
  if (document.hidden) return;
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(4000) });
    if (!answer.ok) throw new Error(answer.statusText);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    main.classList.remove("stale");
    replaceContent(find(".facts", main), find(".facts", fresh));
    const [old, young] = [find("tbody", main), find("tbody", fresh)];
    if (!old || !young) {
      const [before, after] = [find("section", main), find("section", fresh)];
      if (before && after) before.replaceWith(after);
      find("#filter")?.addEventListener("input", applyFilter);
    } else if (!old.contains(document.activeElement) && document.getSelection().isCollapsed) {
      replaceContent(old, young);
    }
    applyFilter();
  } catch {
    main.classList.add("stale");
  }
}

function replaceContent(old, young) {
  if (old && young) old.replaceChildren(...young.childNodes);
}

// Page of a profile: a click on the head of a column sorts by it, another one turns the order.
function makeSortable(table) {
  const heads = all("thead th", table);
  let column = 0;
  heads.forEach((head) => {
    const cell = column;
    column += head.colSpan;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const number = head.dataset.kind === "number";
      const first = number ? "descending" : "ascending";
      const second = number ? "ascending" : "descending";
      const order = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", order);
      sortRows(table, cell, number, order === "ascending" ? 1 : -1);
    });
  });
}

function sortRows(table, cell, number, direction) {
  const body = table.tBodies[0];
  const key = (row) => (number ? Number(row.cells[cell].dataset.sort) : row.cells[cell].textContent);
  const compare = number ? (a, b) => a - b : (a, b) => a.localeCompare(b);
  const rows = [...body.rows].map((row) => [key(row), row]);
  rows.sort((a, b) => direction * compare(a[0], b[0]));
  body.append(...rows.map(([, row]) => row));
}

const main = find("main");
if (main?.dataset.refresh) {
  find("#filter")?.addEventListener("input", applyFilter);
  applyFilter();
  setInterval(() => refresh(main), Number(main.dataset.refresh) * 1000);
}
all("table.sortable").forEach(makeSortable);
const tools = find("#tree-tools");
if (tools) {
  tools.hidden = false;
  tools.addEventListener("click", (event) => {
    const open = event.target.dataset?.open;
    if (open) all(".tree details").forEach((node) => { node.open = open === "1"; });
  });
}
