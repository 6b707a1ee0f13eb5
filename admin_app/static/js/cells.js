// Cells of a list, edited where they stand: the form's own field, put over the cell.
//
// Double click, a click on the pencil, or Enter opens it. Enter saves, Escape gives up, Tab saves and
// goes on. Without this script the pencil leads to a page with the same field.

const panel = document.querySelector("[data-list]");
const said = document.createElement("output");
said.className = "unseen";
said.setAttribute("aria-live", "polite");
panel?.append(said);

let editor = null;

const way = (cell) => cell?.querySelector(".cell-edit");
const cells = () => [...panel.querySelectorAll("td[data-cell]")];

async function ask(url, options = {}) {
  const answer = await fetch(url, {
    ...options,
    headers: { "X-Requested-With": "fetch", Accept: "application/json, text/html;q=0.9" },
    signal: AbortSignal.timeout(30000),
  });
  const isHtml = answer.headers.get("Content-Type")?.startsWith("text/html");
  if (isHtml) return { isSaved: answer.ok, html: await answer.text() };
  const { error } = await answer.json().catch(() => ({}));
  throw new Error(error || "The server did not answer as it should.");
}

const parsed = (html) => new DOMParser().parseFromString(html, "text/html").body;

class Editor {
  constructor(cell) {
    this.cell = cell;
    this.url = way(cell).href;
    this.box = document.createElement("div");
    this.box.className = "cell-editor";
    this.box.popover = "manual";
    this.box.setAttribute("role", "dialog");
    this.box.setAttribute("aria-label", way(cell).getAttribute("aria-label"));
    this.box.addEventListener("keydown", (event) => this.key(event), true);
    this.box.addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.box.addEventListener("click", (event) => {
      if (!event.target.closest("[data-cancel]")) return;
      event.preventDefault();
      this.close();
    });
    this.place = this.place.bind(this);
  }

  get form() {
    return this.box.querySelector("form");
  }

  /** What would be sent, as text, so that it is known whether somebody has typed. */
  sent() {
    return this.form ? JSON.stringify([...new FormData(this.form)].filter(([name]) => name !== "csrf_token")) : "";
  }

  get isChanged() {
    return this.form !== null && this.sent() !== this.before;
  }

  async open() {
    this.cell.classList.add("editing");
    try {
      const { html } = await ask(this.url);
      if (editor !== this) return;
      await this.show(html);
      this.before = this.sent();
    } catch (error) {
      if (editor !== this) return;
      this.tell(error.message);
    }
  }

  async show(html) {
    this.box.replaceChildren(...parsed(html).childNodes);
    if (!this.box.isConnected) document.querySelector("main").append(this.box);
    this.box.showPopover();
    const [{ bindPickers }, { bindControls }] = await Promise.all([import("./picker.js"), import("./controls.js")]);
    if (this.form.querySelector("[data-boxes]")) (await import("./boxes.js")).bindAllBoxes(this.box);
    bindPickers(this.box);
    bindControls(this.form);
    this.place();
    addEventListener("scroll", this.place, true);
    addEventListener("resize", this.place);
    this.focus();
  }

  focus() {
    const control = this.controls()[0];
    control?.focus();
    if (control?.matches("input:not([type=checkbox], [type=radio])")) control.select?.();
  }

  controls() {
    const found = this.box.querySelectorAll(".field :is(input:not([type=hidden]), select, textarea)");
    return [...found].filter((one) => !one.disabled && one.checkVisibility() && !one.matches(".ts-hidden-accessible"));
  }

  /** Over the cell, but never beyond the window. */
  place() {
    const at = this.cell.getBoundingClientRect();
    this.box.style.minWidth = `${Math.min(at.width + 2, innerWidth - 16)}px`;
    const { width, height } = this.box.getBoundingClientRect();
    this.box.style.left = `${Math.max(8, Math.min(at.left - 1, innerWidth - width - 8))}px`;
    this.box.style.top = `${Math.max(8, Math.min(at.top - 1, innerHeight - height - 8))}px`;
  }

  key(event) {
    const picker = event.target.closest(".ts-wrapper")?.parentElement.querySelector("input[data-picker]")?.tomselect;
    const isIn = this.controls().includes(event.target);
    if (event.key === "Escape") {
      if (picker?.isOpen) return picker.close();
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Enter" && isIn) {
      if (picker?.isOpen) return;
      if (event.target.matches("textarea") && !(event.ctrlKey || event.metaKey) && event.target.rows > 1) return;
      event.preventDefault();
      event.stopPropagation();
      this.save();
    } else if (event.key === "Tab" && isIn) {
      const controls = this.controls();
      if (event.target !== (event.shiftKey ? controls[0] : controls.at(-1)) && !event.target.matches("[type=radio]")) return;
      event.preventDefault();
      event.stopPropagation();
      this.go(event.shiftKey ? -1 : 1);
    }
  }

  /** Save what was changed, and open the cell after or before this one. */
  async go(step) {
    const all = cells();
    const next = all[all.indexOf(this.cell) + step];
    if (this.isChanged && !(await this.save())) return;
    if (editor === this) this.close();
    if (next) open(next);
  }

  /** Whether it was saved; else the editor tells why and keeps what was typed. */
  async save() {
    if (!this.isChanged && !this.box.querySelector("[aria-invalid]")) {
      this.close();
      return true;
    }
    if (this.isSaving) return false;
    this.isSaving = true;
    this.box.setAttribute("aria-busy", "true");
    try {
      const { isSaved, html } = await ask(this.form.action, { method: "POST", body: new FormData(this.form) });
      if (isSaved) this.replace(parsed(html));
      else await this.show(html);
      return isSaved;
    } catch (error) {
      this.tell(error.message);
      return false;
    } finally {
      this.isSaving = false;
      this.box.removeAttribute("aria-busy");
    }
  }

  async replace(answer) {
    const cell = answer.querySelector("td");
    const message = answer.querySelector(".message");
    // Its column's look stays: it may be the key of the row, or have a width of its own.
    cell.className = this.cell.className;
    cell.classList.remove("editing");
    this.cell.replaceWith(cell);
    this.cell = cell;
    this.close();
    if (message) (await import("./toasts.js")).show(message);
    else said.textContent = "Saved";
  }

  /** A sentence at the cell, for what no field can tell. */
  tell(sentence) {
    const note = document.createElement("p");
    note.className = "error";
    note.setAttribute("role", "alert");
    note.textContent = sentence;
    this.box.querySelectorAll(":scope > .error").forEach((one) => one.remove());
    this.box.append(note);
    if (!this.box.isConnected) document.querySelector("main").append(this.box);
    if (!this.box.matches(":popover-open")) this.box.showPopover();
    this.place();
    if (!this.form) {
      this.box.tabIndex = -1;
      this.box.focus();
    }
  }

  close() {
    removeEventListener("scroll", this.place, true);
    removeEventListener("resize", this.place);
    const had = this.box.contains(document.activeElement) || document.activeElement === document.body;
    this.box.remove();
    this.cell.classList.remove("editing");
    if (editor === this) editor = null;
    if (had) way(this.cell)?.focus();
  }
}

async function open(cell) {
  if (editor?.cell === cell) return;
  if (editor?.isChanged && !(await editor.save())) return;
  editor?.close();
  editor = new Editor(cell);
  await editor.open();
}

if (panel) {
  panel.addEventListener("click", (event) => {
    const link = event.target.closest(".cell-edit");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    open(link.closest("td"));
  });
  panel.addEventListener("dblclick", (event) => {
    const cell = event.target.closest("td[data-cell]");
    if (!cell || event.target.closest("a, button, input")) return;
    getSelection()?.removeAllRanges();
    open(cell);
  });
  // A click beside it closes an editor in which nothing was typed; otherwise it stays.
  document.addEventListener("pointerdown", (event) => {
    if (!editor || editor.box.contains(event.target) || editor.isChanged) return;
    if (!event.target.closest("td[data-cell]")) editor.close();
  });
  addEventListener("beforeunload", (event) => {
    if (editor?.isChanged) event.preventDefault();
  });
}
