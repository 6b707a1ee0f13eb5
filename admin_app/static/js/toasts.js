// Messages of what is done, over the page: each waits while somebody is at it, and can be put away.
// Without this script they are plain messages at the head of the page.

const LASTS = 30_000;
const box = document.querySelector("[data-toasts]");

function bind(message) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn quiet";
  button.setAttribute("aria-label", "Dismiss");
  button.textContent = "×";
  message.append(button);
  let timer;

  function away() {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", wait);
    const had = message.contains(document.activeElement);
    message.remove();
    if (had) document.querySelector("main").focus({ preventScroll: true });
  }

  function wait() {
    clearTimeout(timer);
    if (!document.hidden && !message.matches(":hover, :focus-within")) timer = setTimeout(away, LASTS);
  }

  button.addEventListener("click", away);
  message.addEventListener("keydown", (event) => {
    if (event.key === "Escape") away();
  });
  message.addEventListener("pointerenter", wait);
  message.addEventListener("pointerleave", wait);
  message.addEventListener("focusin", wait);
  // The focus has not arrived where it goes yet.
  message.addEventListener("focusout", () => setTimeout(wait));
  document.addEventListener("visibilitychange", wait);
  wait();
}

/** Show ``messages`` in place of those that are there, so that a screen reader tells of them. */
export function show(...messages) {
  box.replaceChildren();
  setTimeout(() => {
    box.append(...messages);
    messages.forEach(bind);
  }, 100);
}

if (box.children.length) show(...box.children);
