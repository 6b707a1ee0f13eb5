// The columns of a list: choosing them in a sheet beside it, their order, and their width by drawing.

// Choosing

function numberPlaces(form) {
  let place = 0;
  for (const line of form.querySelectorAll("[data-column-line]")) {
    const [box, input] = [line.querySelector("[name=column]"), line.querySelector(".place")];
    input.value = box.checked ? (place += 1) : "";
  }
}

function bindOrder(list) {
  const lines = () => [...list.children];

  function move(line, step) {
    const other = step < 0 ? line.previousElementSibling : line.nextElementSibling;
    if (!other) return;
    other[step < 0 ? "before" : "after"](line);
    line.scrollIntoView({ block: "nearest" });
    line.querySelector("[data-move]").focus();
  }

  list.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const handle = event.target.closest("[data-move]");
    if (!step || !handle) return;
    event.preventDefault();
    move(handle.closest("li"), step);
  });
  list.addEventListener("pointerdown", (event) => {
    const handle = event.target.closest("[data-move]");
    if (!handle) return;
    event.preventDefault();
    handle.focus();
    const line = handle.closest("li");
    line.classList.add("moving");
    handle.setPointerCapture(event.pointerId);
    handle.onpointermove = (at) => {
      const before = lines().find((other) => {
        const box = other.getBoundingClientRect();
        return at.clientY < box.top + box.height / 2;
      });
      if (before !== line && before !== line.nextElementSibling) list.insertBefore(line, before ?? null);
    };
    handle.onpointerup = handle.onpointercancel = () => {
      line.classList.remove("moving");
      handle.onpointermove = handle.onpointerup = handle.onpointercancel = null;
    };
  });
}

function bindMore(form, list) {
  const more = form.querySelector("[data-more]");
  const find = form.querySelector("[data-find]");
  const none = form.querySelector("[data-find-none]");
  const template = form.querySelector("template[data-line]");

  // What is ticked joins the columns that are shown, at their end.
  more?.addEventListener("change", (event) => {
    const box = event.target;
    const line = template.content.firstElementChild.cloneNode(true);
    const [width, place, chosen] = ["[name='width:']", ".place", "[name=column]"].map((s) => line.querySelector(s));
    const label = box.dataset.label;
    [place.name, chosen.value] = [`at:${box.value}`, box.value];
    chosen.checked = true;
    chosen.nextElementSibling.textContent = label;
    // The columns of a file have no width.
    if (width) [width.name, width.ariaLabel] = [`width:${box.value}`, `Width of ${label} in pixels`];
    place.ariaLabel = `Place of ${label}`;
    line.querySelector("[data-move]").ariaLabel = `Move ${label}`;
    list.append(line);
    box.closest("li").remove();
    line.scrollIntoView({ block: "nearest" });
    chosen.focus();
  });
  find?.addEventListener("input", () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const item of more.querySelectorAll("[data-filter-item]")) {
      const text = item.querySelector("input").dataset.label.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      found += !item.hidden;
    }
    for (const group of more.querySelectorAll("[data-filter-group]")) {
      group.hidden = !group.querySelector("[data-filter-item]:not([hidden])");
      group.querySelector("details").open = words.length > 0;
    }
    none.hidden = found > 0;
  });
  find?.addEventListener("keydown", (event) => {
    if (event.key === "Enter") event.preventDefault();
  });
}

export function bindChooser(form) {
  const list = form.querySelector("[data-shown]");
  bindOrder(list);
  bindMore(form, list);
  form.addEventListener("submit", () => numberPlaces(form));
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// The sheet

function bindSheet(link) {
  let sheet = null;

  async function open() {
    const answer = await fetch(link.href);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = page.querySelector("[data-columns-form]");
    if (!answer.ok || !form) return location.assign(link.href);
    sheet ??= Object.assign(document.createElement("dialog"), { className: "sheet", ariaLabel: "Columns" });
    sheet.replaceChildren(document.adoptNode(form));
    document.body.append(sheet);
    bindChooser(form);
    sheet.onclick = (event) => {
      const leaves = event.target === sheet || event.target.closest("[data-close]");
      if (!leaves) return;
      event.preventDefault();
      sheet.close();
    };
    sheet.showModal();
  }

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open().catch(() => location.assign(link.href));
  });
}

// Widths

const NARROWEST = 40;
const WIDEST = 1000;

function bindWidths(table, chooseUrl) {
  const heads = [...table.querySelectorAll("thead th[data-column]")];

  // One <col> a cell of the heading, so that a width needs no style.
  function columns() {
    let group = table.querySelector("colgroup");
    if (!group) {
      group = document.createElement("colgroup");
      for (const _ of table.querySelectorAll("thead tr:first-child > *")) group.append(document.createElement("col"));
      table.prepend(group);
    }
    return [...group.children];
  }

  function setWidth(head, width) {
    const col = columns()[head.cellIndex];
    if (width) col.width = width;
    else col.removeAttribute("width");
    for (const row of table.rows) {
      // The heading of a group and the footer have cells over several columns.
      if (row.cells.length !== head.parentElement.cells.length) continue;
      row.cells[head.cellIndex].classList.toggle("sized", Boolean(width));
    }
  }

  function keep() {
    const cols = columns();
    const words = heads.map((head) => {
      const width = cols[head.cellIndex].width;
      return width ? `${head.dataset.column}:${width}` : head.dataset.column;
    });
    const text = words.join(",");
    const url = new URL(chooseUrl, location.href);
    url.searchParams.set("choose", "widths");
    url.searchParams.set("columns", text);
    fetch(url).catch(() => {});
    // Where the address names the columns, it and what leads on from here have to tell the widths.
    if (!new URLSearchParams(location.search).has("columns")) return;
    const told = (address) => {
      const changed = new URL(address, location.href);
      changed.searchParams.set("columns", text);
      return changed.pathname + changed.search.replaceAll("%2C", ",").replaceAll("%3A", ":");
    };
    history.replaceState(history.state, "", told(location.href));
    for (const link of document.querySelectorAll("a[href*='columns=']")) link.href = told(link.href);
    for (const input of document.querySelectorAll("input[type=hidden][name=columns]")) input.value = text;
  }

  for (const head of heads) {
    const grip = Object.assign(document.createElement("span"), { className: "grip", ariaHidden: "true" });
    head.append(grip);
    grip.addEventListener("click", (event) => event.stopPropagation());
    grip.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      const [from, start] = [event.clientX, head.offsetWidth];
      let isMoved = false;
      grip.setPointerCapture(event.pointerId);
      grip.onpointermove = (at) => {
        isMoved = true;
        setWidth(head, Math.round(Math.min(WIDEST, Math.max(NARROWEST, start + at.clientX - from))));
      };
      grip.onpointerup = grip.onpointercancel = () => {
        grip.onpointermove = grip.onpointerup = grip.onpointercancel = null;
        if (isMoved) keep();
      };
    });
    // A double click gives the column back what its values need.
    grip.addEventListener("dblclick", () => {
      setWidth(head, 0);
      keep();
    });
  }
}

// The key column casts a shadow once the rest of the table has moved under it.
function bindShadow(scroll) {
  const show = () => scroll.classList.toggle("moved", scroll.scrollLeft > 0);
  scroll.addEventListener("scroll", show, { passive: true });
  show();
}

for (const form of document.querySelectorAll("[data-columns-form]")) bindChooser(form);
for (const link of document.querySelectorAll("[data-columns-link]")) {
  bindSheet(link);
  for (const table of document.querySelectorAll("[data-list] table")) bindWidths(table, link.href);
}
document.querySelectorAll("[data-list] > .scroll").forEach(bindShadow);
