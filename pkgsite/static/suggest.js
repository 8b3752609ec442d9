// Offers pages while one types into a search box: a combobox whose list follows it. Without this a search is a page.

const WAIT_MS = 150;
const MIN_LENGTH = 2; // letters

for (const input of document.querySelectorAll("input[data-suggest]")) {
  const list = document.createElement("ul");
  list.id = `${input.id}-offers`;
  list.className = "suggestions";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  const liveRegion = document.createElement("span");
  liveRegion.className = "visually-hidden";
  liveRegion.setAttribute("role", "status");
  input.form.append(list, liveRegion);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) {
    input.setAttribute(name, value);
  }

  let timer;
  let pendingRequest;
  let activeIndex = -1;

  const close = () => {
    clearTimeout(timer);
    pendingRequest?.abort();
    list.hidden = true;
    activeIndex = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };

  const choose = (next) => {
    const options = [...list.children];
    options[activeIndex]?.setAttribute("aria-selected", "false");
    activeIndex = next < -1 ? options.length - 1 : next >= options.length ? -1 : next;
    if (activeIndex < 0) {
      input.removeAttribute("aria-activedescendant");
      return;
    }
    options[activeIndex].setAttribute("aria-selected", "true");
    options[activeIndex].scrollIntoView({ block: "nearest" });
    input.setAttribute("aria-activedescendant", options[activeIndex].id);
  };

  const show = (suggestions) => {
    activeIndex = -1;
    input.removeAttribute("aria-activedescendant");
    list.replaceChildren(...offers.map((offer, number) => {
      const option = document.createElement("li");
      const kind = document.createElement("span");
      option.id = `${list.id}-${number}`;
      option.dataset.url = offer.url;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", "false");
      kind.className = "kind";
      kind.textContent = offer.kind;
      option.append(offer.title, " ", kind);
      return option;
    }));
    list.hidden = !suggestions.length;
    input.setAttribute("aria-expanded", String(!list.hidden));
    liveRegion.textContent = suggestions.length ? `${suggestions.length} ${suggestions.length === 1 ? "suggestion" : "suggestions"}` : "";
  };

  const fetchSuggestions = async () => {
    const query = input.value.trim();
    pendingRequest?.abort();
    if (query.length < MIN_LENGTH) {
      show([]);
      return;
    }
    pendingRequest = new AbortController();
    try {
      const answer = await fetch(`${input.dataset.suggest}?q=${encodeURIComponent(query)}`, { signal: pendingRequest.signal });
      if (answer.ok && query === input.value.trim() && document.activeElement === input) show(await answer.json());
    } catch {
      // Asked anew meanwhile, or out of reach: the box is still a box.
    }
  };

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(fetchSuggestions, WAIT_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" && list.hidden) {
      fetchSuggestions();
    } else if (list.hidden) {
      return;
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(activeIndex + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") {
      close();
    } else if (event.key === "Enter" && activeIndex >= 0) {
      location.assign(list.children[activeIndex].dataset.url);
    } else {
      return;
    }
    event.preventDefault();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the box keeps the focus
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) location.assign(option.dataset.url);
  });
  input.addEventListener("blur", close);
}
