// Small help beside controls: now and today, a colour to choose, how many characters are left, a
// slug made of a name.

const put = (input, value) => {
  input.value = value;
  input.dispatchEvent(new Event("input", { bubbles: true }));
};

// Date and time

/** The present moment in `zone`, or by this computer's clock where that is unknown, as each control has it. */
function now(zone) {
  const options = { hourCycle: "h23", year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "longOffset" };
  let format;
  try {
    format = new Intl.DateTimeFormat("en-CA", { ...options, timeZone: zone || undefined });
  } catch {
    format = new Intl.DateTimeFormat("en-CA", options);
  }
  const part = Object.fromEntries(format.formatToParts(new Date()).map(({ type, value }) => [type, value]));
  const date = `${part.year.padStart(4, "0")}-${part.month}-${part.day}`;
  const time = `${part.hour}:${part.minute}:${part.second}`;
  const offset = part.timeZoneName.replace("GMT", "") || "+00:00";
  return { date, time, "datetime-local": `${date}T${time}`, text: `${date} ${time}${offset}` };
}

/** What the clock of a place `offset` minutes ahead of UTC shows, as the control of `type` has it. */
function clock(offset, type) {
  const text = new Date(Date.now() + offset * 60000).toISOString().slice(0, 19);
  return type === "time" ? text.slice(11) : text;
}

/** How far this computer's clock is from that of the application, in words; "" where it is not. */
function distance(offset) {
  const minutes = -new Date().getTimezoneOffset() - offset;
  if (!minutes) return "";
  const [hours, rest] = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60];
  const words = [hours && `${hours} ${hours === 1 ? "hour" : "hours"}`, rest && `${rest} minutes`].filter(Boolean);
  return `You are ${words.join(" ")} ${minutes > 0 ? "ahead of" : "behind"} the server’s time.`;
}

function tellDistance(input, line, offset) {
  const words = distance(offset);
  if (!words) return;
  const note = document.createElement("small");
  note.id = `${input.id}-clock`;
  note.textContent = words;
  line.after(note);
  input.setAttribute("aria-describedby", `${input.getAttribute("aria-describedby") ?? ""} ${note.id}`.trim());
}

function offerNow(input, zone, offset) {
  if (input.readOnly || input.disabled || input.closest(".now")) return;
  // A column without a time zone keeps the time of the application's clock.
  const isByServer = Number.isFinite(offset) && ["time", "datetime-local"].includes(input.type);
  const button = document.createElement("button");
  const words = input.type === "date" ? "Today" : "Now";
  const label = input.labels[0]?.cloneNode(true);
  label?.querySelectorAll(".must").forEach((sign) => sign.remove());
  button.type = "button";
  button.className = "btn";
  button.textContent = words;
  if (label) button.setAttribute("aria-label", `${words}: ${label.textContent.trim()}`);
  button.addEventListener("click", () => {
    put(input, isByServer ? clock(offset, input.type) : now(zone)[input.type]);
    input.focus();
  });
  const line = document.createElement("div");
  line.className = "now";
  input.replaceWith(line);
  line.append(input, button);
  if (isByServer) tellDistance(input, line, offset);
}

// Colours

/** The browser's control for colours, beside the text, which may hold any other name of one. */
function offerColour(input) {
  if (input.readOnly || input.disabled || input.closest(".now")) return;
  const swatch = document.createElement("input");
  swatch.type = "color";
  const label = input.labels[0]?.cloneNode(true);
  label?.querySelectorAll(".must").forEach((sign) => sign.remove());
  swatch.setAttribute("aria-label", `Choose: ${label?.textContent.trim() ?? ""}`);
  const show = () => {
    if (/^#[0-9a-f]{6}$/i.test(input.value)) swatch.value = input.value.toLowerCase();
  };
  swatch.addEventListener("input", (event) => {
    event.stopPropagation();
    put(input, swatch.value);
  });
  input.addEventListener("input", show);
  const line = document.createElement("div");
  line.className = "now";
  input.replaceWith(line);
  line.append(input, swatch);
  show();
}

// Text with a limit

function countDown(input) {
  // In so short a text one sees what is left.
  if (input.maxLength < 20) return;
  const note = document.createElement("small");
  note.className = "left";
  note.setAttribute("role", "status");
  const update = () => {
    const left = input.maxLength - input.value.length;
    const isNear = left <= Math.max(10, input.maxLength / 10);
    note.textContent = isNear && document.activeElement === input ? `${left} of ${input.maxLength} characters left` : "";
  };
  for (const name of ["input", "focus", "blur"]) input.addEventListener(name, update);
  input.after(note);
}

// Slugs

const LETTERS = {
  ß: "ss", æ: "ae", ø: "o", å: "a", œ: "oe", đ: "d", ð: "d", ł: "l", þ: "th", ħ: "h", ı: "i", ŋ: "ng", ĸ: "k", ſ: "s",
  α: "a", β: "b", γ: "g", δ: "d", ε: "e", ζ: "z", η: "i", θ: "th", ι: "i", κ: "k", λ: "l", μ: "m", ν: "n", ξ: "x", ο: "o", π: "p", ρ: "r", σ: "s", ς: "s", τ: "t", υ: "y", φ: "f", χ: "ch", ψ: "ps", ω: "o",
  а: "a", б: "b", в: "v", г: "g", д: "d", е: "e", ж: "zh", з: "z", и: "i", й: "j", к: "k", л: "l", м: "m", н: "n", о: "o", п: "p", р: "r", с: "s", т: "t", у: "u", ф: "f", х: "h", ц: "c", ч: "ch", ш: "sh", щ: "shch", ъ: "", ы: "y", ь: "", э: "e", ю: "yu", я: "ya", є: "ye", і: "i", ї: "yi", ґ: "g", ђ: "dj", ј: "j", љ: "lj", њ: "nj", ћ: "c", џ: "dz",
};

/** `text` as it may stand in an address; cut between words when it is longer than `limit`. */
export function slug(text, limit = -1) {
  const letters = text
    .toLowerCase()
    // й and ї fall apart into a letter and a mark, which is why letters of other scripts go first.
    .replace(/[^\x00-\x7f]/g, (letter) => LETTERS[letter] ?? letter)
    .normalize("NFKD")
    .replace(/\p{M}/gu, "")
    .replace(/[^\x00-\x7f]/g, (letter) => LETTERS[letter] ?? "-");
  let made = letters.replace(/['’]/g, "").replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "");
  if (limit > 0 && made.length > limit) {
    const cut = made.slice(0, limit + 1).lastIndexOf("-");
    made = made.slice(0, cut > limit / 2 ? cut : limit).replace(/-$/, "");
  }
  return made;
}

/** What one reads in a control: the words of a choice, not its key. */
function read(source) {
  if (source.tomselect) return source.tomselect.items.map((key) => source.tomselect.options[key]?.text ?? "").join(" ");
  if (source.selectedOptions) return [...source.selectedOptions].filter((one) => one.value).map((one) => one.text).join(" ");
  return source.value;
}

function prepopulate(input) {
  const sources = input.dataset.slugOf.split(" ").map((id) => document.getElementById(id)).filter(Boolean);
  let isMine = input.value === "";
  let isWriting = false;
  const update = () => {
    if (!isMine) return;
    isWriting = true;
    put(input, slug(sources.map(read).join(" "), input.maxLength));
    isWriting = false;
  };
  input.addEventListener("input", () => {
    if (!isWriting) isMine = input.value === "";
  });
  for (const source of sources) {
    source.addEventListener("input", update);
    source.addEventListener("change", update);
  }
}

export function bindControls(root) {
  const { zone, serverOffset } = (root.closest?.("[data-zone]") ?? document.querySelector("[data-zone]"))?.dataset ?? {};
  for (const input of root.querySelectorAll("input:is([type=date], [type=time], [type=datetime-local], [data-moment])")) offerNow(input, zone, Number.parseInt(serverOffset, 10));
  root.querySelectorAll("input[data-colour]").forEach(offerColour);
  root.querySelectorAll(":is(input, textarea)[maxlength]").forEach(countDown);
  root.querySelectorAll("[data-slug-of]").forEach(prepopulate);
}

document.querySelectorAll("form[data-form]").forEach(bindControls);
