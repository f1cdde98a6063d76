/* What the pages do at once. Without this script everything works by forms and links.
 *
 * Whoever types or chooses photos before this script runs, or gets them back from the browser, causes
 * no event: so each function looks at what its form holds already. */

"use strict";

const WAIT = 250; // Milliseconds after the last change before a search begins.
const HTML = { headers: { Accept: "text/html" }, credentials: "same-origin" };

document.documentElement.classList.add("scripts");

/* Wait until nothing has happened for a while, then call a function. */
function debounced(call) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, WAIT);
  };
}

/* Fetch a page of this service. Leave for the login if the key is no longer valid. */
async function fetched(address, options) {
  const response = await fetch(address, { ...HTML, ...options });
  if (response.redirected && new URL(response.url).pathname === "/login") {
    location.assign("/login");
    return new Promise(() => {});
  }
  const text = await response.text();
  return new DOMParser().parseFromString(text, "text/html");
}

/* Put photos into a file field, as if they had been chosen there. */
function choose(field, files) {
  const photos = [...files].filter((file) => file.type.startsWith("image/") || !file.type);
  const chosen = photos.length ? photos : [...files];
  if (!chosen.length) {
    return;
  }
  const carrier = new DataTransfer();
  for (const file of chosen) {
    carrier.items.add(file);
  }
  field.files = carrier.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
}

/* Let photos be dropped anywhere on the page, and pasted. */
function acceptPhotos(zone) {
  const field = zone.querySelector("input[type=file]");
  const mark = (isOver) => zone.classList.toggle("over", isOver);
  document.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) {
      event.preventDefault();
      mark(true);
    }
  });
  document.addEventListener("dragleave", (event) => mark(event.relatedTarget !== null));
  document.addEventListener("drop", (event) => {
    mark(false);
    if (event.dataTransfer.files.length) {
      event.preventDefault();
      choose(field, event.dataTransfer.files);
    }
  });
  document.addEventListener("paste", (event) => {
    if (event.clipboardData.files.length) {
      event.preventDefault();
      choose(field, event.clipboardData.files);
    }
  });
}

/* Show the photos that are chosen in a form which is not sent yet. */
function previewPhotos(list) {
  const field = list.closest("[data-drop]").querySelector("input[type=file]");
  const show = () => {
    for (const image of list.querySelectorAll("img")) {
      URL.revokeObjectURL(image.src);
    }
    list.replaceChildren(
      ...[...field.files].map((file) => {
        const item = document.createElement("li");
        const image = document.createElement("img");
        image.alt = "";
        image.src = URL.createObjectURL(file);
        item.append(image);
        return item;
      }),
    );
  };
  field.addEventListener("change", show);
  show();
}

/* Search at once, and swap the answer in. */
function searchAtOnce(form) {
  const answer = document.getElementById("answer");
  const status = document.getElementById("status");
  const results = document.querySelector(".results");
  const slider = document.getElementById("top");
  let request = new AbortController();

  /* Whether a field with suggestions holds one of them. Half a name finds nobody. */
  const isWhole = ({ list, value }) =>
    !list || !value || [...list.options].some((option) => option.value === value);

  const hasPhotos = () =>
    answer.querySelector("[name=kept]") ||
    form.elements.photos.files.length ||
    (form.elements.more && form.elements.more.files.length);

  function show(page) {
    const focused = document.activeElement;
    const wasInside = answer.contains(focused);
    const part = page.getElementById("error") || page.body;
    answer.replaceChildren(...document.importNode(part, true).childNodes);
    const said = answer.querySelector("[data-say]");
    status.textContent = said ? said.dataset.say.trim() : "";
    if (wasInside) {
      (document.getElementById(focused.id) || answer).focus({ preventScroll: true });
    }
  }

  function fail() {
    const page = document.implementation.createHTMLDocument();
    const box = page.createElement("section");
    const title = page.createElement("h2");
    const text = page.createElement("p");
    box.className = "verdict problem";
    title.textContent = "No answer";
    text.textContent = "The service can't be reached. Is it still running? Then try again.";
    box.dataset.say = text.textContent;
    box.append(title, text);
    // The photos stay, so that the search can be tried again.
    for (const kept of answer.querySelectorAll(".query, [name=judged]")) {
      page.body.append(page.importNode(kept, true));
    }
    page.body.append(box);
    show(page);
  }

  /* Bring a new answer into sight, if the form fills the screen. */
  function reveal() {
    const { top: edge } = results.getBoundingClientRect();
    if (edge < 0 || edge > innerHeight / 2) {
      results.scrollIntoView();
    }
  }

  async function search(button, isNew) {
    request.abort();
    request = new AbortController();
    const { signal } = request;
    results.classList.add("waiting");
    answer.setAttribute("aria-busy", "true");
    status.textContent = "Searching…";
    try {
      const page = await fetched("/answer", {
        method: "POST",
        body: new FormData(form, button),
        signal,
      });
      // A later search has begun and will show its own answer.
      if (signal.aborted) {
        return;
      }
      form.elements.photos.value = "";
      show(page);
      if (isNew) {
        reveal();
      }
    } catch (error) {
      if (error.name === "AbortError") {
        return;
      }
      fail();
    }
    results.classList.remove("waiting");
    answer.removeAttribute("aria-busy");
  }

  const soon = debounced(() => {
    if (hasPhotos()) {
      search();
    }
  });

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search(event.submitter, !event.submitter || event.submitter.matches(".pick, .primary"));
  });
  form.addEventListener("input", (event) => {
    if (event.target === slider) {
      document.getElementById("top-shown").textContent = slider.value;
    }
    if (event.target.type !== "file" && isWhole(event.target)) {
      soon();
    }
  });
  form.addEventListener("change", (event) => {
    if (!isWhole(event.target)) {
      soon();
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.type === "file" && event.target.form === form && event.target.files.length) {
      search(null, true);
    }
  });
  if (form.elements.photos.files.length) {
    search(null, true);
  }
}

/* Open a person's sightings in a dialog. Esc closes it. */
function openInPanel(panel) {
  const body = panel.querySelector(".body");
  let request = new AbortController();
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-panel]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) {
      return;
    }
    event.preventDefault();
    request.abort();
    request = new AbortController();
    const { signal } = request;
    try {
      const page = await fetched(link.href, { signal });
      if (signal.aborted) {
        return;
      }
      const part = page.getElementById("person") || page.getElementById("error");
      body.replaceChildren(document.importNode(part, true));
    } catch (error) {
      if (error.name !== "AbortError") {
        location.assign(link.href);
      }
      return;
    }
    if (!panel.open) {
      panel.showModal();
    }
    const chosen = body.querySelector(".order [aria-current]");
    if (chosen) {
      chosen.focus();
    }
  });
  panel.addEventListener("close", () => request.abort());
  panel.querySelector(".close").addEventListener("click", () => panel.close());
  panel.addEventListener("click", (event) => {
    if (event.target === panel) {
      panel.close();
    }
  });
}

/* Filter a list while somebody types. */
function filterAtOnce(form) {
  const id = form.dataset.filter;
  let request = new AbortController();
  const filter = debounced(async () => {
    request.abort();
    request = new AbortController();
    const query = new URLSearchParams(new FormData(form));
    try {
      const page = await fetched(`${form.action}?${query}`, { signal: request.signal });
      document.getElementById(id).replaceWith(document.importNode(page.getElementById(id), true));
    } catch (error) {
      if (error.name !== "AbortError") {
        form.submit();
      }
    }
  });
  form.addEventListener("input", filter);
  if ([...form.elements].some((field) => field.value !== (field.defaultValue ?? field.value))) {
    filter();
  }
}

/* Say that a form is on its way, and send it once only. */
function waitForAnswer(form) {
  form.addEventListener("submit", () => {
    const button = form.querySelector(".primary");
    button.textContent = "Please wait…";
    button.setAttribute("aria-disabled", "true");
    form.addEventListener("submit", (event) => event.preventDefault());
  });
}

/* A page that the browser kept may be out of date, or somebody may have signed out since. */
addEventListener("pageshow", (event) => {
  if (event.persisted) {
    location.reload();
  }
});

document.querySelectorAll("[data-drop]").forEach(acceptPhotos);
document.querySelectorAll(".previews").forEach(previewPhotos);
document.querySelectorAll("[data-filter]").forEach(filterAtOnce);
document.querySelectorAll("[data-waits]").forEach(waitForAnswer);
document.querySelectorAll("#search").forEach(searchAtOnce);
document.querySelectorAll("#panel").forEach(openInPanel);
if (matchMedia("(min-width: 901px)").matches) {
  document.querySelectorAll("[data-filters]").forEach((filters) => { filters.open = true; });
}
