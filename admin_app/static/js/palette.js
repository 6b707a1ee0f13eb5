// The dialog that opens by Ctrl-K or Cmd-K (see shell.js): pages, actions and rows of every model.
// What can be gone to is asked once and filtered here at once; rows are asked as one types.

const opener = document.querySelector("[data-palette]");
const address = opener.getAttribute("href");
const MEMORY = `admin-palette:${address}`;
const KEPT = 8;
const WAIT = 120;

const lower = (text) => text.toLowerCase();

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(MEMORY)) ?? [];
  } catch {
    return [];
  }
}

function remember(item) {
  const others = remembered().filter((other) => other.url !== item.url);
  try {
    localStorage.setItem(MEMORY, JSON.stringify([item, ...others].slice(0, KEPT)));
  } catch {
    // A browser may keep nothing; the palette works without.
  }
}

function element(name, properties = {}, ...children) {
  const { role, ...rest } = properties;
  const made = Object.assign(document.createElement(name), rest);
  if (role) made.setAttribute("role", role);
  made.append(...children);
  return made;
}

// Buttons of this page that an operator may want to press from here: themes, sign out.
function pressable() {
  return [...document.querySelectorAll("[data-palette-text]")].map((button) => ({
    text: button.dataset.paletteText,
    hint: "",
    button,
  }));
}

class Palette {
  constructor() {
    this.places = [];
    this.found = [];
    this.options = [];
    this.at = -1;
    this.asked = 0;
    this.input = element("input", {
      type: "search",
      placeholder: "Pages, actions and rows",
      autocomplete: "off",
      spellcheck: false,
      enterKeyHint: "go",
      role: "combobox",
    });
    this.input.setAttribute("aria-label", "Search everything");
    this.input.setAttribute("aria-autocomplete", "list");
    this.input.setAttribute("aria-controls", "palette-list");
    this.list = element("div", { id: "palette-list", role: "listbox" });
    this.list.setAttribute("aria-label", "What was found");
    this.status = element("p", { className: "palette-foot", role: "status" });
    const close = element("button", { type: "button", className: "btn quiet", textContent: "Close" });
    close.addEventListener("click", () => this.dialog.close());
    const icon = opener.querySelector("svg")?.cloneNode(true) ?? "";
    const head = element("div", { className: "palette-head" }, icon, this.input, close);
    this.dialog = element("dialog", { className: "palette" }, head, this.list, this.status);
    this.dialog.setAttribute("aria-label", "Search everything");
    document.body.append(this.dialog);
    this.bind();
  }

  bind() {
    this.input.addEventListener("input", () => this.typed());
    this.input.addEventListener("keydown", (event) => this.pressed(event));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close();
    });
    this.list.addEventListener("mousemove", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) this.move(this.options.indexOf(option), false);
    });
    this.list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (!option || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      this.choose(option);
    });
  }

  open() {
    if (this.dialog.open) return;
    this.dialog.showModal();
    this.input.select();
    if (!this.places.length) this.ask("").then((answer) => answer && this.learn(answer));
    this.draw();
  }

  async ask(text) {
    const recent = [...new Set(remembered().map((item) => item.key).filter(Boolean))].join(",");
    const url = `${address}?${new URLSearchParams({ q: text, recent })}`;
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      // Whoever was signed out meanwhile is sent to a page, which is no answer for a script.
      if (!response.headers.get("Content-Type")?.startsWith("application/json")) throw new Error(response.status);
      return await response.json();
    } catch {
      this.status.textContent = "The server does not answer.";
      return null;
    }
  }

  learn(answer) {
    this.places = answer.groups;
    this.draw();
  }

  typed() {
    const text = this.input.value.trim();
    const number = ++this.asked;
    this.draw();
    clearTimeout(this.timer);
    if (!text) {
      this.found = [];
      this.draw();
      return;
    }
    this.timer = setTimeout(async () => {
      const answer = await this.ask(text);
      if (!answer || number !== this.asked) return;
      this.found = answer.groups.filter((group) => !["pages", "actions"].includes(group.key));
      this.draw(answer);
    }, WAIT);
  }

  // The groups to show: what was chosen lately, or what fits the words that are typed.
  groups() {
    const words = lower(this.input.value).split(/\s+/).filter(Boolean);
    const fits = (item) => words.every((word) => lower(item.text).includes(word));
    const begins = (item) => (lower(item.text).startsWith(words[0]) ? 0 : 1);
    const places = this.places.map((group) => {
      const own = group.key === "actions" ? [...group.items, ...pressable()] : group.items;
      const items = own.filter(fits);
      return { ...group, items: words.length ? items.sort((a, b) => begins(a) - begins(b)).slice(0, 6) : items };
    });
    if (words.length) return [...places, ...this.found];
    return [{ key: "recent", title: "Recent", items: remembered() }, ...places];
  }

  draw(answer) {
    const before = this.options[this.at]?.dataset.id;
    this.options = [];
    const groups = this.groups().filter((group) => group.items.length);
    this.list.replaceChildren(...groups.map((group) => this.group(group)));
    const kept = this.options.findIndex((option) => option.dataset.id === before);
    this.move(this.options.length ? Math.max(0, kept) : -1);
    const count = this.options.length;
    this.list.hidden = !count;
    this.input.setAttribute("aria-expanded", String(count > 0));
    const told = count ? `${count} ${count === 1 ? "choice" : "choices"}.` : "Nothing matches.";
    // Before the answer is there, nobody knows yet.
    if (answer || !this.input.value.trim()) {
      this.status.textContent = [told, answer?.sentence].filter(Boolean).join(" ");
    }
  }

  group(group) {
    const title = element("p", { className: "side-title", id: `palette-${group.key}`, textContent: group.title });
    const made = element("div", { role: "group" }, title);
    made.setAttribute("aria-labelledby", title.id);
    for (const item of group.items) made.append(this.option(item, group));
    if (group.more_url) {
      made.append(this.option({ text: `All ${lower(group.title)} that match`, url: group.more_url, hint: "", quiet: true }, group));
    }
    return made;
  }

  option(item, group) {
    const option = element(item.url ? "a" : "div", { role: "option", tabIndex: -1, id: `palette-option-${this.options.length}` });
    if (item.url) option.href = item.url;
    option.dataset.id = `${group.key} ${item.url ?? item.text}`;
    option.append(element("span", { textContent: item.text }));
    if (item.hint) option.append(element("span", { className: "muted", textContent: item.hint }));
    option.item = { ...item, key: item.key ?? group.key };
    if (group.key !== "recent" && !["pages", "actions"].includes(group.key) && !item.quiet) option.item.hint = group.title;
    this.options.push(option);
    return option;
  }

  move(to, isSeen = true) {
    this.options[this.at]?.setAttribute("aria-selected", "false");
    this.at = to;
    for (const option of this.options) option.setAttribute("aria-selected", "false");
    const option = this.options[to];
    if (!option) return this.input.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    this.input.setAttribute("aria-activedescendant", option.id);
    if (isSeen) option.scrollIntoView({ block: "nearest" });
  }

  pressed(event) {
    const count = this.options.length;
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.isComposing) return;
    if (event.key in steps && count) {
      const next = this.at + steps[event.key];
      const turned = (next + count) % count;
      this.move(Math.abs(steps[event.key]) === 1 ? turned : Math.min(count - 1, Math.max(0, next)));
    } else if (event.key === "Enter" && this.options[this.at]) {
      this.choose(this.options[this.at], event.ctrlKey || event.metaKey);
    } else return;
    event.preventDefault();
  }

  choose(option, isNew = false) {
    const { button, quiet, ...item } = option.item;
    if (button) {
      this.dialog.close();
      button.click();
      return;
    }
    if (!quiet) remember({ text: item.text, hint: item.hint, url: item.url, key: item.key });
    if (isNew) open(item.url, "_blank", "noopener");
    else location.assign(item.url);
  }
}

let palette = null;

// Opens the dialog, or closes it where it is open.
export function toggle() {
  palette ??= new Palette();
  if (palette.dialog.open) palette.dialog.close();
  else palette.open();
}
