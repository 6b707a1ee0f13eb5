// The filters of a list: their form in a sheet beside it. The server draws the form; what is chosen
// in it and changes what else can be chosen sends it, and the answer takes its place.

const CHANGES = 300;

async function fetched(url, signal) {
  const answer = await fetch(url, { signal });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { url: answer.url, form: page.querySelector("[data-filters-form]") };
}

async function bindPickers(form) {
  if (!form.querySelector("[data-picker]")) return;
  const picker = await import("./picker.js");
  picker.bindPickers(form);
}

function address(form, button) {
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form));
  url.searchParams.set("filter", button);
  return url;
}

// Where the focus was, told by what outlives the form: the name of a field, or the word of a button.
const placeOf = (element) => element?.id || element?.value || "";

function focus(form, place, button) {
  const isNew = button === "add" || button === "group" || button.startsWith("add.");
  const blank = [...form.querySelectorAll("select[name$='column']")].filter((select) => !select.value);
  const same = [...form.elements].find((element) => placeOf(element) === place && !element.hidden);
  const first = form.querySelector("select[name$='column']");
  ((isNew && blank.at(-1)) || (button.startsWith("drop") ? first : same) || first)?.focus();
}

function bindForm(form) {
  let asking = null;
  let waiting = 0;

  function stop() {
    asking?.abort();
    clearTimeout(waiting);
    asking = new AbortController();
    return asking.signal;
  }

  async function refresh(button) {
    const place = placeOf(document.activeElement);
    const { url, form: next } = await fetched(address(form, button), stop());
    // The list itself is the answer to a form without faults.
    if (!next) return location.assign(url);
    form.replaceWith(document.adoptNode(next));
    bindForm(next);
    await bindPickers(next);
    focus(next, place, button);
    if (next.querySelector("[role=alert]")) next.querySelector("[role=alert]").scrollIntoView({ block: "nearest" });
  }

  async function say() {
    const { form: next } = await fetched(address(form, "update"), stop());
    const words = next?.querySelector("[data-preview]").textContent;
    if (words !== undefined) form.querySelector("[data-preview]").textContent = words;
  }

  const ignore = (error) => {
    if (error.name !== "AbortError") console.warn("The filters could not be drawn anew:", error.message);
  };

  form.addEventListener("submit", (event) => {
    const button = event.submitter?.value ?? "apply";
    event.preventDefault();
    refresh(button).catch((error) => {
      if (error.name !== "AbortError") location.assign(address(form, button));
    });
  });
  form.addEventListener("change", (event) => {
    if (event.target.closest("[data-refresh]")) refresh("update").catch(ignore);
  });
  form.addEventListener("input", (event) => {
    if (event.target.closest("[data-refresh]")) return;
    clearTimeout(waiting);
    waiting = setTimeout(() => say().catch(ignore), CHANGES);
  });
}

function bindLink(link) {
  let sheet = null;

  async function open() {
    const { form } = await fetched(link.href);
    if (!form) return location.assign(link.href);
    sheet ??= Object.assign(document.createElement("dialog"), { className: "sheet wide", ariaLabel: "Filter" });
    sheet.replaceChildren(document.adoptNode(form));
    document.body.append(sheet);
    bindForm(form);
    sheet.onclick = (event) => {
      if (event.target !== sheet && !event.target.closest("[data-close]")) return;
      event.preventDefault();
      sheet.close();
    };
    sheet.showModal();
    await bindPickers(form);
    const blank = [...form.querySelectorAll("select[name$='column']")].find((select) => !select.value);
    blank?.focus();
  }

  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open().catch(() => location.assign(link.href));
  });
}

for (const link of document.querySelectorAll("[data-filters-link]")) bindLink(link);
for (const form of document.querySelectorAll("[data-filters-form]")) {
  bindForm(form);
  bindPickers(form);
}
