// Fields that point at other rows: an input that looks rows up as one types (Tom Select).

import "../vendor/tom-select/tom-select.base.min.js";

const { TomSelect } = globalThis;

// The key of an entry that only says something; no identity holds a control sign.
const NOTE = "\u0001";

const element = (tag, className, ...children) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
};

function bindPicker(input) {
  const isMultiple = "multiple" in input.dataset;
  const canClear = isMultiple || !("required" in input.dataset);
  // Several identities share one value, so each is encoded; a single one is sent as it is.
  const key = (item) => (isMultiple ? encodeURIComponent(item.id) : String(item.id));
  const chosen = JSON.parse(input.dataset.chosen || "[]").map((item) => ({ ...item, key: key(item) }));
  const label = document.querySelector(`label[for="${CSS.escape(input.id)}"]`);
  let found = new Set();
  let asking = null;

  function item(data) {
    const text = element("span", "", data.text);
    const made = element("div", "item", text);
    if (canClear && !input.disabled && !input.readOnly) {
      const remove = element("button", "", "×");
      remove.type = "button";
      remove.tabIndex = -1;
      remove.setAttribute("aria-label", `Remove ${data.text}`);
      remove.addEventListener("mousedown", (event) => event.preventDefault());
      remove.addEventListener("click", (event) => {
        event.stopPropagation();
        picker.removeItem(data.key);
        picker.focus();
      });
      made.append(remove);
    }
    return made;
  }

  // The browser points at what is missing, so the visible control has to be the one that is required.
  const isRequired = input.required;
  input.required = false;

  const picker = new TomSelect(input, {
    valueField: "key",
    labelField: "text",
    searchField: [],
    options: chosen,
    items: chosen.map((one) => one.key),
    maxItems: isMultiple ? null : 1,
    // Identities may hold any sign: nothing that can be typed parts a single one.
    delimiter: isMultiple ? "," : "\u0000",
    maxOptions: null,
    openOnFocus: false,
    loadThrottle: 200,
    hideSelected: isMultiple,
    closeAfterSelect: !isMultiple,
    placeholder: input.placeholder || "Search",
    hidePlaceholder: true,
    refreshThrottle: 0,
    // The server has searched: what it sent is shown, in its order, and nothing else.
    score: () => (one) => (found.has(one.key) ? 1 : 0),
    sortField: [{ field: "$order" }],
    shouldLoad: () => true,
    async load(query, done) {
      asking?.abort();
      const mine = new AbortController();
      asking = mine;
      const url = new URL(input.dataset.lookupUrl, location.href);
      url.searchParams.set("q", query);
      try {
        const answer = await fetch(url, {
          headers: { Accept: "application/json" },
          signal: AbortSignal.any([mine.signal, AbortSignal.timeout(15000)]),
        });
        if (!answer.ok) throw new Error(answer.statusText);
        const { items, has_more } = await answer.json();
        const rows = items.map((one) => ({ ...one, key: key(one) }));
        if (has_more) rows.push({ key: NOTE, text: "More rows match: type to narrow them", disabled: true });
        found = new Set(rows.map((one) => one.key));
        picker.clearOptions();
        done(rows);
      } catch (error) {
        // A newer question has taken the place of this one; it reports for both.
        if (mine.signal.aborted) return done();
        asking = null;
        found = new Set([NOTE]);
        picker.clearOptions();
        done([{ key: NOTE, text: "The lookup failed. Type to try again.", disabled: true }]);
        console.warn("The lookup failed:", error.message);
      }
    },
    render: {
      item,
      option: (data) => {
        const made = element("div", "option", element("span", "", data.text));
        if (data.hint) made.append(element("small", "", data.hint));
        return made;
      },
      loading: () => element("div", "loading", "Looking…"),
      no_results: (data) =>
        element("div", "no-results", data.input ? `Nothing matches “${data.input}”` : "There is nothing to choose"),
      not_loading: () => null,
    },
  });

  picker.on("dropdown_open", () => {
    const { top, bottom } = picker.control.getBoundingClientRect();
    const below = innerHeight - bottom;
    picker.dropdown.classList.toggle("above", below < 300 && below < top);
    if (!asking) picker.load("");
  });
  picker.control.addEventListener("click", () => picker.open());
  // Enter chooses. It never sends the form, also not while the rows are still being looked up.
  picker.wrapper.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.defaultPrevented) return;
    event.preventDefault();
    picker.open();
  });
  // Links to a field lead to the input behind the control.
  input.addEventListener("focus", () => picker.control_input.focus());

  const require = () => {
    picker.control_input.required = isRequired && picker.items.length === 0;
  };
  picker.on("change", require);
  require();

  // The input behind the control keeps the value; it is not a control to a screen reader any more.
  input.setAttribute("aria-hidden", "true");
  if (label) input.setAttribute("aria-labelledby", label.id);
  for (const name of ["aria-describedby", "aria-invalid", "aria-required"]) {
    const value = input.getAttribute(name);
    if (value) picker.control_input.setAttribute(name, value);
  }
  if ("required" in input.dataset) picker.control_input.setAttribute("aria-required", "true");
}

export function bindPickers(root) {
  // Rows of a list are drawn from a template, whose fields must stay as they are until it is used.
  for (const input of root.querySelectorAll("input[data-picker]")) {
    if (!input.tomselect) bindPicker(input);
  }
}

bindPickers(document);
