// The list: ticking rows (all, ranges, none, on several pages), their number, and keys to walk with.

// Keys of rows that the tab remembers under a name, until an action has used them.
const ticks = {
  read(name) {
    try {
      return new Set(JSON.parse(sessionStorage.getItem(name) ?? "[]"));
    } catch {
      return new Set();
    }
  },
  write(name, keys) {
    try {
      if (keys.size) sessionStorage.setItem(name, JSON.stringify([...keys]));
      else sessionStorage.removeItem(name);
    } catch {
      // Storage may be forbidden or full; then ticks are those of this page.
    }
  },
};

function bindTicks(panel) {
  const boxes = [...panel.querySelectorAll('input[name="rowid"]')];
  const form = panel.querySelector("[data-bulk]");
  if (!form || !boxes.length) return;
  const all = panel.querySelector("[data-tick-all]");
  const count = panel.querySelector("[data-tick-count]");
  const isAcross = "across" in form.dataset;
  const names = [`admin.ticks ${form.dataset.bulk}`, `admin.unticked ${form.dataset.bulk}`];
  const name = names[Number(isAcross)];
  const onPage = new Set(boxes.map((box) => box.value));
  // With all that match chosen, it is the unticked rows that are remembered.
  let kept = new Set();
  let last = null;

  function words() {
    const total = "total" in form.dataset ? Number(form.dataset.total) : null;
    const told = (number) => number.toLocaleString("en");
    if (isAcross && total === null) return kept.size ? `All that match, but for ${told(kept.size)}` : "All that match selected";
    if (isAcross) return kept.size ? `${told(total - kept.size)} of ${told(total)} selected` : `All ${told(total)} selected`;
    const away = [...kept].filter((key) => !onPage.has(key)).length;
    return away ? `${told(kept.size)} selected, ${told(away)} on other pages` : `${told(kept.size)} selected`;
  }

  function show() {
    const ticked = boxes.filter((box) => box.checked).length;
    if (all) {
      all.checked = ticked > 0 && ticked === boxes.length;
      all.indeterminate = ticked > 0 && ticked < boxes.length;
    }
    form.toggleAttribute("data-held", isAcross || kept.size > 0);
    if (count) count.textContent = words();
  }

  function tick(chosen, checked) {
    for (const box of chosen) {
      box.checked = checked;
      if (checked === isAcross) kept.delete(box.value);
      else kept.add(box.value);
    }
    ticks.write(name, kept);
    show();
  }

  function restore() {
    if ("used" in form.dataset) {
      for (const one of names) ticks.write(one, new Set());
      delete form.dataset.used;
    }
    kept = ticks.read(name);
    for (const box of boxes) box.checked = kept.has(box.value) !== isAcross;
    show();
  }

  panel.addEventListener("click", (event) => {
    const box = boxes.includes(event.target) ? event.target : null;
    if (!box) return;
    const [from, to] = [boxes.indexOf(event.shiftKey && last ? last : box), boxes.indexOf(box)].sort((a, b) => a - b);
    tick(boxes.slice(from, to + 1), box.checked);
    last = box;
  });
  // Shift-click would otherwise select the text between the two boxes.
  panel.addEventListener("mousedown", (event) => {
    if (event.shiftKey && event.target.closest(".check")) event.preventDefault();
  });
  all?.addEventListener("change", () => tick(boxes, all.checked));
  for (const way of form.querySelectorAll("[data-tick-none], [data-tick-across]")) {
    way.addEventListener("click", () => {
      for (const one of names) ticks.write(one, new Set());
      if (way.href) return;
      kept = new Set();
      for (const box of boxes) box.checked = false;
      show();
      (all ?? boxes[0])?.focus();
    });
  }
  form.addEventListener("formdata", (event) => {
    const field = isAcross ? "except" : "rowid";
    for (const key of kept) if (!onPage.has(key)) event.formData.append(field, key);
  });
  // What the browser restores when one comes back may be older than what the tab remembers.
  addEventListener("pageshow", restore);
  restore();
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
