// The facets beside a list, fetched once the list stands. Whether they are open, and which of them
// are folded, is kept for the tab.

const OPEN = "admin.facets";
const FOLDED = "admin.facets.folded";

const link = document.querySelector("[data-facets-link]");
const place = document.querySelector("[data-facets-place]");

function kept(name) {
  try {
    return sessionStorage.getItem(name);
  } catch {
    return null;
  }
}

function keep(name, value) {
  try {
    if (value === null) sessionStorage.removeItem(name);
    else sessionStorage.setItem(name, value);
  } catch {
    // Storage may be forbidden; then nothing is kept.
  }
}

function bindFolds(panel) {
  const folded = new Set(JSON.parse(kept(FOLDED) ?? "[]"));
  for (const box of panel.querySelectorAll("[data-facet]")) {
    const name = `${location.pathname} ${box.dataset.facet}`;
    if (folded.has(name)) box.open = false;
    box.addEventListener("toggle", () => {
      folded[box.open ? "delete" : "add"](name);
      keep(FOLDED, JSON.stringify([...folded]));
    });
  }
}

function present() {
  return document.getElementById("facets");
}

function mark(isOpen) {
  if (isOpen) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
}

async function open() {
  const waiting = document.createElement("aside");
  waiting.className = "facets";
  waiting.id = "facets";
  waiting.setAttribute("aria-busy", "true");
  waiting.setAttribute("aria-label", "Facets");
  place.append(waiting);
  mark(true);
  try {
    const answer = await fetch(link.dataset.facetsLink, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(answer.status);
    const html = await answer.text();
    if (!waiting.isConnected) return;
    const panel = new DOMParser().parseFromString(html, "text/html").getElementById("facets");
    if (!panel) throw new Error("no facets");
    waiting.replaceWith(panel);
    bindFolds(panel);
  } catch {
    waiting.removeAttribute("aria-busy");
    waiting.textContent = "The facets could not be loaded.";
  }
}

if (link && place) {
  const fromServer = present();
  if (fromServer) bindFolds(fromServer);
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (fromServer) {
      keep(OPEN, null);
      return;
    }
    event.preventDefault();
    if (present()) {
      present().remove();
      mark(false);
      keep(OPEN, null);
    } else {
      keep(OPEN, "1");
      open();
    }
  });
  if (!fromServer && kept(OPEN)) open();
}
