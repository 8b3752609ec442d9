// Edits cells in place, and searches packages while the user types. Without scripts, separate pages do the same.

const token = () => document.querySelector("input[name=csrf_token]")?.value ?? "";

async function request(path, fields) {
  const body = fields && new URLSearchParams({ csrf_token: token(), ...fields });
  const response = await fetch(path, {
    method: fields ? "POST" : "GET",
    headers: { Accept: "application/json" },
    body,
  });
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return { status: response.status, data: isJson ? await response.json() : {} };
}

function element(name, attributes = {}, text = "") {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

function debounce(callback, wait) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(callback, wait);
  };
}

// Sends a cell as the page without scripts does. The site then asks the user to log in, or to submit it again.
function submitAsPage(form, path, input, version) {
  for (const [name, value] of Object.entries({ csrf_token: token(), version })) form.append(element("input", { type: "hidden", name, value }));
  input.name = "text";
  form.method = "post";
  form.action = path;
  form.submit();
}

async function openCell(link) {
  const cell = link.closest("td");
  const table = cell.closest("table");
  const cellContent = cell.querySelector("[data-cell-content]");
  const { status, data } = await request(link.href);
  if (status !== 200 || data.version === undefined) { // such as the login page, after the session has expired
    location.assign(link.href);
    return;
  }
  let version = data.version;
  const form = element("form", { class: "cell-form", dir: "ltr" });
  const input = element("textarea", { maxlength: "1000", dir: "auto", "aria-label": link.dataset.name });
  const errorText = element("p", { class: "error", role: "alert" });
  const preview = element("div", { class: "cell-preview", dir: "auto", "aria-label": "Preview" });
  const save = element("button", { class: "button", type: "submit" }, "Save");
  const cancel = element("button", { class: "button quiet", type: "button" }, "Cancel");
  input.value = data.text;
  form.append(input, preview, errorText, save, cancel);
  for (const node of [cellContent, link]) node.hidden = true;
  cell.querySelector(".cell-notice")?.remove();
  cell.append(form);
  input.focus();

  const updatePreview = async () => {
    const { status: previewStatus, data: result } = await request(table.dataset.previewUrl, { text: input.value });
    if (previewStatus === 200) preview.innerHTML = result.html; // rendered and escaped by the server
  };
  const close = () => {
    form.remove();
    for (const node of [cellContent, link]) node.hidden = false;
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
      const { status: saveStatus, data: result } = await request(link.href, { text: input.value, version });
      if (saveStatus === 200) {
        cellContent.innerHTML = result.html;
        close();
        if (result.notice) cell.append(element("p", { class: "cell-notice", role: "status" }, result.notice));
      } else if (saveStatus === 409) {
        version = result.version;
        form.querySelector(".cell-current")?.remove();
        const current = element("p", { class: "cell-current", dir: "auto" }, result.current || "(empty)");
        form.insertBefore(current, save);
        errorText.textContent = `${result.by ?? "Someone else"} changed this cell while you were editing. The current text is shown below; yours is kept above. Save again to replace it.`;
      } else if (result.resubmit) {
        submitAsPage(form, link.href, input, version);
      } else if (saveStatus === 404) {
        errorText.textContent = "This cell no longer exists: its feature or package has been removed. Copy your text before you leave this page.";
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

const results = document.querySelector("[data-results]");
if (results) {
  const searchForm = document.querySelector("form.list-search");
  const input = searchForm.querySelector("input");
  let lastQuery = input.value;
  const find = async () => {
    if (input.value === lastQuery) return;
    lastQuery = input.value;
    const response = await fetch(`${searchForm.action}?${new URLSearchParams({ q: lastQuery })}`);
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    if (input.value === lastQuery) results.replaceChildren(...page.querySelector("[data-results]").childNodes);
  };
  input.addEventListener("input", debounce(find, 250));
}
