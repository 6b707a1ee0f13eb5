// A form that is being edited: what changed, Ctrl+S, a warning before it is left, the first error.

const isMac = /Mac|iPhone|iPad/.test(navigator.userAgent);

/** What each name would send; files by name and size, since a chosen file is an object of its own. */
function sent(form) {
  const values = new Map();
  for (const [name, value] of new FormData(form)) {
    const text = typeof value === "string" ? value.replaceAll("\r\n", "\n") : `${value.name}:${value.size}`;
    values.set(name, `${values.get(name) ?? ""}\u0000${text}`);
  }
  return values;
}

function bindForm(form) {
  const bar = document.querySelector("[data-form-state]");
  const save = document.querySelector(`[data-save][form="${form.id}"]`) ?? form.querySelector("[data-save]");
  const fields = [...form.querySelectorAll("[data-field]")];
  const reason = form.querySelector("[data-needed-by-change]");
  const marks = new Map();
  const before = sent(form);
  // After a refusal, or back from a review, the page holds what was typed: it is not what was there.
  const typed = fields.filter((field) => field.dataset.typed !== undefined);
  for (const input of typed.flatMap((field) => [...field.querySelectorAll("[name]")])) before.set(input.name, null);
  let changed = 0;
  let isLeaving = false;

  function mark(field, isChanged) {
    field.classList.toggle("changed", isChanged);
    let sign = marks.get(field);
    if (isChanged && !sign) {
      sign = document.createElement("span");
      sign.className = "changed-mark";
      sign.textContent = "changed";
      marks.set(field, sign);
      const place = field.querySelector(".field-head, legend, .choice > span") ?? field;
      place.append(sign);
    }
    if (sign) sign.hidden = !isChanged;
  }

  function compare() {
    const now = sent(form);
    const names = new Set([...before.keys(), ...now.keys()].filter((name) => before.get(name) !== now.get(name)));
    changed = names.size;
    if (reason) reason.required = [...names].some((name) => name !== reason.name);
    for (const field of fields) {
      const inputs = [...field.querySelectorAll("[name]")];
      mark(field, inputs.some((input) => names.has(input.name)));
    }
    if (bar) bar.textContent = changed ? `${changed} ${changed === 1 ? "field" : "fields"} changed` : "";
  }

  form.addEventListener("input", compare);
  form.addEventListener("change", compare);
  form.addEventListener("rows-changed", compare);
  form.addEventListener("submit", () => {
    isLeaving = true;
  });
  document.addEventListener("click", (event) => {
    const hash = event.target.closest?.('a[href^="#"]')?.hash;
    if (hash) document.getElementById(decodeURIComponent(hash.slice(1)))?.closest("details")?.setAttribute("open", "");
  });
  form.addEventListener("invalid", (event) => event.target.closest("details:not([open])")?.setAttribute("open", ""), true);
  addEventListener("beforeunload", (event) => {
    if (changed && !isLeaving) event.preventDefault();
  });
  addEventListener("pageshow", () => {
    isLeaving = false;
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    event.preventDefault();
    form.requestSubmit(save);
  });

  // Pickers take their inputs over before this event; what they hold then is what was there before.
  document.addEventListener("DOMContentLoaded", () => {
    const now = sent(form);
    for (const { name } of form.querySelectorAll("input[data-picker]")) if (before.get(name) !== null) before.set(name, now.get(name));
    compare();
    const visible = (input) => input?.tomselect?.control_input ?? (input?.matches("fieldset") ? input.querySelector("input") : input);
    const bad = [...form.querySelectorAll('[aria-invalid="true"]')].map(visible).find((input) => !input.hidden);
    bad?.closest("details")?.setAttribute("open", "");
    bad?.focus();
    // On a touch screen the focus would bring up the keyboard over the form.
    if (bad || form.dataset.form !== "create" || location.hash || !matchMedia("(pointer: fine)").matches) return;
    const first = [...form.querySelectorAll("input:not([type=hidden]), select, textarea")].map(visible).find((input) => input.checkVisibility() && !input.disabled);
    first?.focus({ preventScroll: true });
  });
}

// Browsers that cannot size a text area to its content by style alone.
function grow(area) {
  const fit = () => {
    area.style.height = "auto";
    area.style.height = `${area.scrollHeight + 2}px`;
  };
  area.addEventListener("input", fit);
  fit();
}

if (isMac) for (const key of document.querySelectorAll("[data-save-key]")) key.textContent = "⌘ S";
if (!CSS.supports("field-sizing", "content")) document.querySelectorAll("[data-form] textarea").forEach(grow);
document.querySelectorAll("form[data-form]").forEach(bindForm);
