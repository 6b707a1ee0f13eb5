// Rows of a list inside a form: adding one from its template, removing one that is not saved yet.

import { bindAllBoxes } from "./boxes.js";
import { bindControls } from "./controls.js";
import { bindPickers } from "./picker.js";

function bindList(list) {
  const rows = list.querySelector(":scope > [data-inline-rows]");
  const template = list.querySelector(":scope > template");
  const prefix = list.dataset.inline;

  // Names are prefix-number-rest; a number is never used twice, also when rows were removed between.
  function nextNumber() {
    const numbers = [...rows.querySelectorAll("[name]")].map((input) => {
      const rest = input.name.startsWith(`${prefix}-`) ? input.name.slice(prefix.length + 1) : "";
      return Number.parseInt(rest, 10);
    });
    return Math.max(-1, ...numbers.filter(Number.isInteger)) + 1;
  }

  function add() {
    const row = template.content.cloneNode(true).firstElementChild;
    const start = `${prefix}-${nextNumber()}`;
    row.id = start;
    // The fields of the template are named as if they stood alone.
    for (const name of ["id", "name", "for", "aria-describedby", "aria-labelledby", "data-inline", "data-slug-of"]) {
      for (const node of row.querySelectorAll(`[${name}]`)) {
        const parts = node.getAttribute(name).split(" ");
        node.setAttribute(name, parts.map((part) => (part ? `${start}-${part}` : start)).join(" "));
      }
    }
    rows.append(row);
    bindPickers(row);
    bindAllBoxes(row);
    bindControls(row);
    row.querySelectorAll("[data-inline]").forEach(bindList);
    row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    rows.dispatchEvent(new Event("rows-changed", { bubbles: true }));
  }

  list.querySelector(":scope > * > [data-inline-add]")?.addEventListener("click", add);
  rows.addEventListener("click", (event) => {
    const remove = event.target.closest("[data-inline-remove]");
    if (!remove || remove.closest("[data-inline]") !== list) return;
    remove.closest("[data-inline-row]").remove();
    list.querySelector(":scope > * > [data-inline-add]")?.focus();
    rows.dispatchEvent(new Event("rows-changed", { bubbles: true }));
  });
}

document.querySelectorAll("[data-inline]").forEach(bindList);
