// Groups of a form as tabs. Without this script they are sections below each other.

let count = 0;

function bindTabs(box) {
  const groups = [...box.querySelectorAll(":scope > [data-tab]")];
  if (groups.length < 2) return;
  const list = document.createElement("div");
  list.className = "tab-list";
  list.setAttribute("role", "tablist");
  list.setAttribute("aria-label", "Sections of the form");

  const tabs = groups.map((group, index) => {
    const legend = group.querySelector(":scope > fieldset > legend");
    const hasError = group.dataset.tab === "error";
    const tab = document.createElement("button");
    tab.type = "button";
    tab.id = `tab-${(count += 1)}`;
    tab.className = "tab";
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", group.id);
    tab.append(legend?.textContent || `Section ${index + 1}`);
    if (hasError) {
      const sign = document.createElement("span");
      sign.className = "tab-error";
      sign.textContent = "needs another look";
      tab.append(" ", sign);
    }
    // The tab names its panel, so the heading would only say it twice.
    if (legend) legend.hidden = true;
    group.setAttribute("role", "tabpanel");
    group.setAttribute("aria-labelledby", tab.id);
    list.append(tab);
    return tab;
  });

  function open(index, isFocused = false) {
    tabs.forEach((tab, at) => {
      tab.setAttribute("aria-selected", String(at === index));
      tab.tabIndex = at === index ? 0 : -1;
      groups[at].hidden = at !== index;
    });
    if (isFocused) tabs[index].focus();
  }

  list.addEventListener("click", (event) => {
    const index = tabs.indexOf(event.target.closest("[role=tab]"));
    if (index >= 0) open(index);
  });
  list.addEventListener("keydown", (event) => {
    const at = tabs.indexOf(document.activeElement);
    const to = {
      ArrowRight: (at + 1) % tabs.length,
      ArrowLeft: (at - 1 + tabs.length) % tabs.length,
      Home: 0,
      End: tabs.length - 1,
    }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    open(to, true);
  });
  // Whoever is sent to a field has to see it: by a link of the summary, or by the browser itself.
  const reveal = (node) => {
    const index = groups.findIndex((group) => group.contains(node));
    if (index >= 0) open(index);
  };
  box.addEventListener("invalid", (event) => box.querySelector(":is(input, select, textarea):invalid") === event.target && reveal(event.target), true);
  document.addEventListener("click", (event) => {
    const hash = event.target.closest?.('a[href^="#"]')?.hash;
    if (hash) reveal(document.getElementById(decodeURIComponent(hash.slice(1))));
  });

  box.prepend(list);
  open(Math.max(0, groups.findIndex((group) => group.dataset.tab === "error")));
}

document.querySelectorAll("[data-tabs]").forEach(bindTabs);
