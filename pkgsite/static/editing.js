// Comforts of forms; they work without them. A form with unsaved words asks before it is left, one that takes long says
// so, and a box that names another package offers those that the search finds.

const WAIT_MS = 250;

function isChanged(form) {
  return [...form.elements].some((field) => {
    if (field.type === "hidden" || !field.name) return false;
    if (field.type === "checkbox" || field.type === "radio") return field.checked !== field.defaultChecked;
    if (field.tagName === "SELECT") return [...field.options].some((one) => one.selected !== one.defaultSelected) && field.selectedIndex > 0;
    return "defaultValue" in field && field.value !== field.defaultValue;
  });
}

for (const form of document.querySelectorAll("form[data-warn]")) {
  let isSent = false;
  form.addEventListener("submit", () => { isSent = true; });
  addEventListener("pageshow", () => { isSent = false; });
  addEventListener("beforeunload", (event) => {
    if (!isSent && isChanged(form)) event.preventDefault();
  });
}

for (const form of document.querySelectorAll("form[data-busy]")) {
  const button = form.querySelector("button[type=submit]");
  const query = button.textContent;
  form.addEventListener("submit", () => {
    button.textContent = form.dataset.busy;
    button.setAttribute("aria-disabled", "true");
  });
  addEventListener("pageshow", () => {
    button.textContent = query;
    button.removeAttribute("aria-disabled");
  });
}

for (const input of document.querySelectorAll("[data-package-box], input[name=replaced_by]")) {
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
        const response = await fetch(`/api/v4/search/?q=${encodeURIComponent(query)}`, { headers: { Accept: "application/json" } });
        const hits = response.ok ? await response.json() : [];
        if (query !== lastQuery || !Array.isArray(hits)) return;
        list.replaceChildren(...hits.filter((hit) => hit.item_type === "package").map((hit) => new Option(hit.title, hit.slug)));
      } catch {
        // Without offers the box is still a box.
      }
    }, WAIT_MS);
  });
}
