// The frame of every page: filter boxes, menus that close, the theme without a reload.

const editable = (target) => target.closest("input, select, textarea, [contenteditable]");

function filterList(box) {
  const list = document.getElementById(box.dataset.filter);
  if (!list) return;
  const none = list.querySelector("[data-filter-none]");
  const items = [...list.querySelectorAll("[data-filter-item]")];
  const groups = [...list.querySelectorAll("[data-filter-group]")];
  const shown = () => items.filter((item) => !item.hidden);

  function apply() {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) {
      const text = item.textContent.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-filter-item]:not([hidden])");
    if (none) none.hidden = shown().length > 0;
  }

  box.addEventListener("input", apply);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") shown()[0]?.querySelector("a").click();
    else if (event.key === "ArrowDown") shown()[0]?.querySelector("a").focus();
    else if (event.key === "Escape") {
      box.value = "";
      apply();
      box.blur();
    } else return;
    event.preventDefault();
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const links = shown().map((item) => item.querySelector("a"));
    const at = links.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    (links[at + step] ?? box).focus();
  });
  // The browser may have kept what was typed before the page was left.
  apply();
}

function bindMenus() {
  const close = (keep) => {
    for (const menu of document.querySelectorAll("[data-menu][open]")) {
      if (!menu.contains(keep)) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => close(event.target));
  document.addEventListener("focusin", (event) => close(event.target));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.activeElement?.closest("[data-menu][open]");
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

function bindTheme(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const chosen = event.submitter.value;
    const data = new FormData(form, event.submitter);
    for (const button of form.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === event.submitter));
    }
    if (chosen === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = chosen;
    await fetch(form.action, { method: "POST", body: data, redirect: "manual" });
  });
}

function bindSlash() {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || editable(event.target)) return;
    const box = document.querySelector('[data-filter="side-list"]');
    const side = box?.closest("[popover]");
    if (!box) return;
    event.preventDefault();
    // On a phone the sidebar is a closed drawer.
    if (getComputedStyle(side).display === "none") side.showPopover?.();
    box.focus();
    box.select();
  });
}

// The server shows moments in the zone of whoever looks, from the next page on.
function tellZone(form) {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (!zone || document.cookie.split("; ").includes(`admin_time_zone=${zone}`)) return;
  const { pathname, protocol } = new URL(".", form.action);
  const secure = protocol === "https:" ? "; secure" : "";
  document.cookie = `admin_time_zone=${zone}; path=${pathname}; max-age=31536000; samesite=lax${secure}`;
}

// The search over everything; its script is fetched when it is first wanted.
function bindPalette(opener) {
  const toggle = async () => (await import("./palette.js")).toggle();
  const isApple = /Mac|iPhone|iPad/.test(navigator.platform);
  opener.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    toggle();
  });
  document.addEventListener("keydown", (event) => {
    const isAsked = event.key.toLowerCase() === "k" && (isApple ? event.metaKey : event.ctrlKey);
    // Another dialog may be in front.
    if (!isAsked || event.altKey || event.shiftKey || document.querySelector("dialog:modal:not(.palette)")) return;
    event.preventDefault();
    toggle();
  });
  if (isApple) for (const key of opener.querySelectorAll("kbd")) key.textContent = "⌘ K";
  // Labels of rows stay in this browser only as long as somebody is signed in.
  document.querySelector("[data-sign-out]")?.addEventListener("submit", () => {
    localStorage.removeItem(`admin-palette:${opener.getAttribute("href")}`);
  });
}

document.querySelectorAll("[data-filter]").forEach(filterList);
document.querySelectorAll("[data-palette]").forEach(bindPalette);
document.querySelectorAll("[data-theme-form]").forEach(bindTheme);
document.querySelectorAll("[data-theme-form]").forEach(tellZone);
bindMenus();
bindSlash();

if (document.querySelector("[data-toasts] > *")) import("./toasts.js");

const current = document.querySelector("#side-list [aria-current]");
const list = document.getElementById("side-list");
if (current && current.offsetTop + current.offsetHeight > list.offsetTop + list.clientHeight) {
  list.scrollTop = current.offsetTop - list.offsetTop - list.clientHeight / 2;
}
