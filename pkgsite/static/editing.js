// Enhancements of forms, which also work without them: a warning before unsaved changes are lost, a busy label on slow
// submissions, and suggestions in fields that refer to a package.

const WAIT_MS = 250;
const { searchUrl } = document.querySelector("script[data-search-url]").dataset;

function isChanged(form) {
  return [...form.elements].some((field) => {
    if (field.type === "hidden" || !field.name) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((option) => option.selected !== option.defaultSelected) && field.selectedIndex > 0; // index 0 is the empty choice of a new form
    return "defaultValue" in field && field.value !== field.defaultValue;
  });
}

for (const form of document.querySelectorAll("form[data-warn-unsaved]")) {
  let isSent = false;
  form.addEventListener("submit", () => { isSent = true; });
  addEventListener("pageshow", () => { isSent = false; });
  addEventListener("beforeunload", (event) => {
    if (!isSent && isChanged(form)) event.preventDefault();
  });
}

for (const form of document.querySelectorAll("form[data-busy-label]")) {
  const button = form.querySelector("button[type=submit]");
  const label = button.textContent;
  form.addEventListener("submit", () => {
    button.textContent = form.dataset.busyLabel;
    button.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", () => {
    button.textContent = label;
    button.removeAttribute("aria-disabled");
  });
}

for (const input of document.querySelectorAll("[data-suggest-packages], input[name=replaced_by]")) {
  const list = document.createElement("datalist");
  list.id = `${input.id}-suggestions`;
  input.after(list);
  input.setAttribute("list", list.id);
  let timer;
  let lastQuery = "";
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const query = input.value.trim();
      if (query.length < 2 || query === lastQuery || query.includes("/")) return;
      lastQuery = query;
      try {
        const response = await fetch(`${searchUrl}?q=${encodeURIComponent(query)}`, { headers: { Accept: "application/json" } });
        const hits = response.ok ? await response.json() : [];
        if (query !== lastQuery || !Array.isArray(hits)) return;
        list.replaceChildren(...hits.filter((hit) => hit.item_type === "package").map((hit) => new Option(hit.title, hit.slug)));
      } catch {
        // The field works without suggestions.
      }
    }, WAIT_MS);
  });
}
