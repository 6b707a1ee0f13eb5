// A collection as two boxes: what may be chosen, searched on the server, and what is chosen.
// The input that holds the keys stays; without this script they are typed into it.

const make = (tag, properties = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
};

const option = ({ id, text }) => make("option", { value: id, textContent: text, title: text });

function bindBoxes(input) {
  const label = document.querySelector(`label[for="${CSS.escape(input.id)}"]`);
  const chosen = new Map(JSON.parse(input.dataset.chosen || "[]").map((item) => [item.id, item]));
  let found = [];
  let asking = null;

  const side = (name, words, button) => {
    const search = make("input", { type: "search", placeholder: words, autocomplete: "off" });
    search.setAttribute("aria-label", words);
    const list = make("select", { multiple: true, size: 9 });
    list.setAttribute("aria-label", name);
    const note = make("small");
    note.setAttribute("role", "status");
    return { search, list, note, button, box: make("div", { className: "box" }, make("b", { textContent: name }), search, list, note, button) };
  };
  const button = (text) => make("button", { type: "button", className: "btn", textContent: text });
  const add = button("Add");
  const remove = button("Remove");
  const left = side("To choose from", "Search", add);
  const right = side("Chosen", "Filter what is chosen", remove);
  const boxes = make("div", { className: "boxes" }, left.box, right.box);
  boxes.setAttribute("role", "group");
  if (label) boxes.setAttribute("aria-labelledby", label.id);
  for (const name of ["aria-describedby", "aria-invalid"]) {
    const value = input.getAttribute(name);
    if (value) left.search.setAttribute(name, value);
  }

  function draw() {
    const free = found.filter((item) => !chosen.has(item.id));
    left.list.replaceChildren(...free.map(option));
    const text = right.search.value.trim().toLowerCase();
    const shown = [...chosen.values()].filter((item) => item.text.toLowerCase().includes(text));
    right.list.replaceChildren(...shown.map(option));
    const hidden = chosen.size - shown.length;
    right.note.textContent = `${chosen.size} chosen${hidden ? `, ${hidden} of them not shown` : ""}`;
    add.disabled = free.length === 0;
    remove.disabled = shown.length === 0;
  }

  async function look() {
    asking?.abort();
    const mine = new AbortController();
    asking = mine;
    const url = new URL(input.dataset.lookupUrl, location.href);
    url.searchParams.set("q", left.search.value);
    try {
      const answer = await fetch(url, { headers: { Accept: "application/json" }, signal: AbortSignal.any([mine.signal, AbortSignal.timeout(15000)]) });
      if (!answer.ok) throw new Error(answer.statusText);
      const { items, has_more } = await answer.json();
      found = items;
      left.note.textContent = has_more ? "More rows match: search to narrow them" : items.length ? "" : "Nothing matches";
    } catch (error) {
      if (mine.signal.aborted) return;
      found = [];
      left.note.textContent = "The lookup failed. Type to try again.";
      console.warn("The lookup failed:", error.message);
    }
    draw();
  }

  function keep() {
    input.value = [...chosen.keys()].map(encodeURIComponent).join(",");
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }

  /** Moves what is marked in `list`, and leaves the focus where it can go on. */
  function move(list, change) {
    const ids = [...list.selectedOptions].map((one) => one.value);
    if (!ids.length) return list.focus();
    const at = list.selectedIndex;
    ids.forEach(change);
    draw();
    keep();
    const next = list.options[Math.min(at, list.options.length - 1)];
    if (next) next.selected = true;
    list.focus();
  }
  const take = () => move(left.list, (id) => chosen.set(id, found.find((item) => item.id === id)));
  const drop = () => move(right.list, (id) => chosen.delete(id));

  for (const [{ list, button: mover }, act] of [[left, take], [right, drop]]) {
    mover.addEventListener("click", act);
    list.addEventListener("dblclick", act);
    list.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      act();
    });
  }
  let timer = 0;
  left.search.addEventListener("input", (event) => {
    event.stopPropagation();
    clearTimeout(timer);
    timer = setTimeout(look, 200);
  });
  right.search.addEventListener("input", (event) => {
    event.stopPropagation();
    draw();
  });
  for (const { search } of [left, right]) {
    // Enter in a search box means search; it never sends the form.
    search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  }

  input.hidden = true;
  input.dataset.bound = "";
  input.nextElementSibling?.matches(".picker-plain") && input.nextElementSibling.remove();
  input.before(boxes);
  left.search.id = `${input.id}-search`;
  if (label) label.htmlFor = left.search.id;
  // Links to the field lead to what one can see of it.
  for (const link of document.querySelectorAll(`a[href="#${CSS.escape(input.id)}"]`)) link.hash = left.search.id;
  draw();
  look();
}

export function bindAllBoxes(root) {
  for (const input of root.querySelectorAll("input[data-boxes]:not([data-bound])")) bindBoxes(input);
}

bindAllBoxes(document);
