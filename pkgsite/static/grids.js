// Cells edited in place, and packages found as one types. Without this, links and forms do the same on pages of
// their own.

const token = () => document.querySelector("input[name=csrf_token]")?.value ?? "";

async function ask(path, fields) {
  const body = fields && new URLSearchParams({ csrf_token: token(), ...fields });
  const answer = await fetch(path, {
    method: fields ? "POST" : "GET",
    headers: { Accept: "application/json" },
    body,
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  return { status: answer.status, told: isJson ? await answer.json() : {} };
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function later(work, wait) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

async function openCell(link) {
  const cell = link.closest("td");
  const shown = cell.querySelector("[data-shown]");
  const { status, told } = await ask(link.href);
  if (status !== 200) {
    location.assign(link.href);
    return;
  }
  let version = told.version;
  const form = element("form", { class: "cell-form" });
  const box = element("textarea", { maxlength: "1000", "aria-label": link.dataset.name });
  const words = element("p", { class: "error", role: "alert" });
  const preview = element("div", { class: "cell-preview", "aria-label": "Preview" });
  const save = element("button", { class: "button", type: "submit" }, "Save");
  const cancel = element("button", { class: "button quiet", type: "button" }, "Cancel");
  box.value = told.text;
  form.append(box, preview, words, save, cancel);
  for (const part of [shown, link]) part.hidden = true;
  cell.append(form);
  box.focus();

  const draw = async () => {
    const { status: drawn, told: view } = await ask("/grids/cell/preview/", { text: box.value });
    if (drawn === 200) preview.innerHTML = view.html; // drawn and escaped by the site
  };
  const close = () => {
    form.remove();
    for (const part of [shown, link]) part.hidden = false;
    link.focus();
  };
  box.addEventListener("input", later(draw, 250));
  cancel.addEventListener("click", close);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    words.textContent = "";
    try {
      const { status: saved, told: came } = await ask(link.href, { text: box.value, version });
      if (saved === 200) {
        shown.innerHTML = came.html;
        close();
      } else if (saved === 409) {
        version = came.version;
        form.querySelector(".cell-theirs")?.remove();
        const theirs = element("p", { class: "cell-theirs" }, came.theirs || "(empty)");
        form.insertBefore(theirs, save);
        words.textContent = `${came.by ?? "Someone else"} changed this cell while you were editing. The current text is shown below; yours is kept above. Save again to replace it.`;
      } else {
        words.textContent = Object.values(came.problems ?? {}).flat().join(" ") || "Could not save the cell. Your text has been kept.";
      }
    } catch {
      words.textContent = "Could not reach the site. Your text has been kept. Try again.";
    } finally {
      save.disabled = false;
    }
  });
  draw();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-cell]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openCell(link);
});

const finder = document.querySelector("form[data-find]");
if (finder) {
  const box = finder.querySelector("input");
  const found = document.querySelector("[data-found]");
  let last = box.value;
  const find = async () => {
    if (box.value === last) return;
    last = box.value;
    const answer = await fetch(`${finder.action}?${new URLSearchParams({ q: last })}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (box.value === last) found.replaceChildren(...page.querySelector("[data-found]").childNodes);
  };
  box.addEventListener("input", later(find, 250));
}
