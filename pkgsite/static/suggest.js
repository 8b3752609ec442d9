// Offers pages while one types into a search box: a combobox whose list follows it. Without this a search is a page.

const WAIT_MS = 150;
const LEAST = 2; // letters

for (const box of document.querySelectorAll("input[data-suggest]")) {
  const list = document.createElement("ul");
  list.id = `${box.id}-offers`;
  list.className = "offers";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Suggestions");
  const told = document.createElement("span");
  told.className = "unseen";
  told.setAttribute("role", "status");
  box.form.append(list, told);
  for (const [name, value] of Object.entries({ role: "combobox", "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": list.id })) {
    box.setAttribute(name, value);
  }

  let timer;
  let asking;
  let at = -1;

  const close = () => {
    clearTimeout(timer);
    asking?.abort();
    list.hidden = true;
    at = -1;
    box.setAttribute("aria-expanded", "false");
    box.removeAttribute("aria-activedescendant");
  };

  const choose = (next) => {
    const options = [...list.children];
    options[at]?.setAttribute("aria-selected", "false");
    at = next < -1 ? options.length - 1 : next >= options.length ? -1 : next;
    if (at < 0) {
      box.removeAttribute("aria-activedescendant");
      return;
    }
    options[at].setAttribute("aria-selected", "true");
    options[at].scrollIntoView({ block: "nearest" });
    box.setAttribute("aria-activedescendant", options[at].id);
  };

  const show = (offers) => {
    at = -1;
    box.removeAttribute("aria-activedescendant");
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
    list.hidden = !offers.length;
    box.setAttribute("aria-expanded", String(!list.hidden));
    told.textContent = offers.length ? `${offers.length} ${offers.length === 1 ? "suggestion" : "suggestions"}` : "";
  };

  const ask = async () => {
    const words = box.value.trim();
    asking?.abort();
    if (words.length < LEAST) {
      show([]);
      return;
    }
    asking = new AbortController();
    try {
      const answer = await fetch(`${box.dataset.suggest}?q=${encodeURIComponent(words)}`, { signal: asking.signal });
      if (answer.ok && words === box.value.trim() && document.activeElement === box) show(await answer.json());
    } catch {
      // Asked anew meanwhile, or out of reach: the box is still a box.
    }
  };

  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, WAIT_MS);
  });
  box.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" && list.hidden) {
      ask();
    } else if (list.hidden) {
      return;
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      choose(at + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Escape") {
      close();
    } else if (event.key === "Enter" && at >= 0) {
      location.assign(list.children[at].dataset.url);
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
  box.addEventListener("blur", close);
}
