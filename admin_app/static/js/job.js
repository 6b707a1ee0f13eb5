// The page of a job that goes on: what changes is fetched anew, less often the longer it takes.

const FIRST = 1_000;
const LAST = 10_000;
const place = document.querySelector("[data-job-moves]");
const site = document.title.includes(" · ") ? document.title.slice(document.title.lastIndexOf(" · ")) : "";

const told = document.querySelector("[data-job-told]");

let wait = FIRST;
let timer;
let isOver = false;

/** Put ``html`` in the place of what is there, and leave the focus where it was. */
function draw(html) {
  const active = place.contains(document.activeElement) ? document.activeElement.value : null;
  const found = new DOMParser().parseFromString(html, "text/html").body;
  place.replaceChildren(...found.childNodes);
  if (active) place.querySelector(`button[value="${CSS.escape(active)}"]`)?.focus();
}

async function look() {
  try {
    const response = await fetch(place.dataset.job, { headers: { Accept: "application/json" } });
    if (response.redirected || !response.ok) throw new Error(response.status);
    const state = await response.json();
    draw(state.html);
    document.title = state.title + site;
    isOver = state.is_over;
    if (isOver) {
      told.textContent = state.title;
      return;
    }
    wait = Math.min(wait * 1.2, LAST);
  } catch {
    // The server, or the way to it, is away for the moment.
    wait = LAST;
  }
  timer = setTimeout(look, wait);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden || isOver) return;
  wait = FIRST;
  clearTimeout(timer);
  timer = setTimeout(look, 0);
});
timer = setTimeout(look, wait);
