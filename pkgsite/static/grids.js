// Cells edited in place, and packages found as one types. Without this, links and forms do the same on pages of
// their own.

const token = () => document.querySelector("input[name=csrf_token]")?.value ?? "";

async function request(path, fields) {
  const body = fields && new URLSearchParams({ csrf_token: token(), ...fields });
  const answer = await fetch(path, {
    method: fields ? "POST" : "GET",
    headers: { Accept: "application/json" },
    body,
  });
  const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
  return { status: answer.status, data: isJson ? await answer.json() : {} };
}

function element(name, attributes = {}, text = "") {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

function debounce(work, wait) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, wait);
  };
}

async function openCell(link) {
  const cell = link.closest("td");
  const cellContent = cell.querySelector("[data-shown]");
  const { status, data } = await request(link.href);
  if (status !== 200) {
    location.assign(link.href);
    return;
  }
  let version = data.version;
  const form = element("form", { class: "cell-form" });
  const input = element("textarea", { maxlength: "1000", "aria-label": link.dataset.name });
  const errorText = element("p", { class: "error", role: "alert" });
  const preview = element("div", { class: "cell-preview", "aria-label": "Preview" });
  const save = element("button", { class: "button", type: "submit" }, "Save");
  const cancel = element("button", { class: "button quiet", type: "button" }, "Cancel");
  input.value = data.text;
  form.append(input, preview, errorText, save, cancel);
  for (const part of [cellContent, link]) part.hidden = true;
  cell.append(form);
  input.focus();

  const updatePreview = async () => {
    const { status: drawn, data: view } = await request("/grids/cell/preview/", { text: input.value });
    if (drawn === 200) preview.innerHTML = view.html; // drawn and escaped by the site
  };
  const close = () => {
    form.remove();
    for (const part of [cellContent, link]) part.hidden = false;
    link.focus();
  };
  input.addEventListener("input", debounce(updatePreview, 250));
  cancel.addEventListener("click", close);
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    errorText.textContent = "";
    try {
      const { status: saved, data: result } = await request(link.href, { text: input.value, version });
      if (saved === 200) {
        cellContent.innerHTML = result.html;
        close();
      } else if (saved === 409) {
        version = result.version;
        form.querySelector(".cell-theirs")?.remove();
        const current = element("p", { class: "cell-theirs" }, result.current || "(empty)");
        form.insertBefore(current, save);
        errorText.textContent = `${result.by ?? "Someone else"} changed this cell while you were editing. The current text is shown below; yours is kept above. Save again to replace it.`;
      } else {
        errorText.textContent = Object.values(result.problems ?? {}).flat().join(" ") || "Could not save the cell. Your text has been kept.";
      }
    } catch {
      errorText.textContent = "Could not reach the site. Your text has been kept. Try again.";
    } finally {
      save.disabled = false;
    }
  });
  updatePreview();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-cell]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  openCell(link);
});

const searchForm = document.querySelector("form[data-find]");
if (searchForm) {
  const input = searchForm.querySelector("input");
  const results = document.querySelector("[data-found]");
  let last = input.value;
  const find = async () => {
    if (input.value === last) return;
    last = input.value;
    const answer = await fetch(`${searchForm.action}?${new URLSearchParams({ q: last })}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (input.value === last) results.replaceChildren(...page.querySelector("[data-found]").childNodes);
  };
  input.addEventListener("input", debounce(find, 250));
}
