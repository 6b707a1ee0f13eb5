// The list: ticking rows (all, ranges, none), their number, and keys to walk with.

function bindTicks(panel) {
  const boxes = [...panel.querySelectorAll('input[name="rowid"]')];
  const all = panel.querySelector("[data-tick-all]");
  const count = panel.querySelector("[data-tick-count]");
  let last = null;

  function show() {
    const ticked = boxes.filter((box) => box.checked).length;
    if (all) {
      all.checked = ticked > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    if (count) count.textContent = `${ticked} selected`;
  }

  function tick(chosen, checked) {
    for (const box of chosen) box.checked = checked;
    show();
  }

  panel.addEventListener("click", (event) => {
    const box = boxes.includes(event.target) ? event.target : null;
    if (!box) return;
    if (event.shiftKey && last && last !== box) {
      const [from, to] = [boxes.indexOf(last), boxes.indexOf(box)].sort((a, b) => a - b);
      tick(boxes.slice(from, to + 1), box.checked);
    }
    last = box;
    show();
  });
  // Shift-click would otherwise select the text between the two boxes.
  panel.addEventListener("mousedown", (event) => {
    if (event.shiftKey && event.target.closest(".check")) event.preventDefault();
  });
  all?.addEventListener("change", () => tick(boxes, all.checked));
  panel.querySelector("[data-tick-none]")?.addEventListener("click", () => {
    tick(boxes, false);
    (all ?? boxes[0])?.focus();
  });
  // The browser restores ticks when one comes back to the page.
  addEventListener("pageshow", show);
  show();
}

function bindKeys(panel) {
  const rows = [...panel.querySelectorAll("tbody tr:not(.group-head)")];
  const way = (row) => row.querySelector(".key a, td a") ?? row.querySelector("input");

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest('select, textarea, [contenteditable], input:not([type="checkbox"])')) return;
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    if (event.key === "j" || event.key === "k") {
      const next = rows[at < 0 ? 0 : at + (event.key === "j" ? 1 : -1)];
      if (next) way(next)?.focus();
    } else if (event.key === "x" && at >= 0) {
      rows[at].querySelector('input[name="rowid"]')?.click();
    } else if (event.key === "s") {
      const search = document.querySelector("[data-list-search] input[type=search]");
      if (!search) return;
      search.focus();
      search.select();
    } else return;
    event.preventDefault();
  });
}

// Filters left empty stay out of the address.
for (const form of document.querySelectorAll("[data-skip-empty]")) {
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// With the shift key, a column joins the order instead of replacing it.
document.addEventListener("click", (event) => {
  const link = event.shiftKey && event.target.closest("a[data-sort-add]");
  if (!link) return;
  event.preventDefault();
  location.assign(link.dataset.sortAdd);
});

// The facets bring their script along once they are wanted: by a click, or as the tab has them open.
function bindFacets(link) {
  let isOpen = false;
  try {
    isOpen = sessionStorage.getItem("admin.facets") !== null;
  } catch {
    // Storage may be forbidden; then nothing is kept.
  }
  if (isOpen) {
    import("./facets.js");
    return;
  }
  const load = async (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.removeEventListener("click", load);
    await import("./facets.js");
    link.click();
  };
  link.addEventListener("click", load);
}

const facets = document.querySelector("[data-facets-link]");
if (facets && !document.getElementById("facets")) bindFacets(facets);

for (const panel of document.querySelectorAll("[data-list]")) {
  bindTicks(panel);
  bindKeys(panel);
}
