// What is wider than the page: reachable by keyboard, named for screen readers, fading where cut;
// and long tables in which one can search.
// A plain script, no module: browsers refuse modules to pages that are opened from a file.
(() => {
  const SCROLLS =
    ".bd-article :is(.output, .cell_output figure, .pst-scrollable-table-container, .vad-scroll, pre), mjx-container";

  function nameOf(box) {
    const caption = box.querySelector("caption, figcaption");
    if (caption) return caption.textContent.trim();
    const kind = box.matches("pre") || box.querySelector("pre") ? "Code" : "Table";
    const heading = box.closest("section")?.querySelector("h1, h2, h3, h4");
    const title = heading ? heading.firstChild.textContent.trim() : document.title;
    return `${box.querySelector("img") ? "Figure" : kind} in “${title}”`;
  }

  function mark(box) {
    const cut = box.scrollWidth - box.clientWidth;
    const scrolls = cut > 1 && getComputedStyle(box).overflowX !== "visible";
    box.classList.toggle("vad-cut-left", scrolls && box.scrollLeft > 1);
    box.classList.toggle("vad-cut-right", scrolls && box.scrollLeft < cut - 1);
    if (scrolls) {
      box.tabIndex = 0;
      if (!box.matches("mjx-container") && !box.hasAttribute("role")) {
        box.setAttribute("role", "region");
        box.setAttribute("aria-label", nameOf(box));
      }
    } else if (!box.matches("mjx-container")) {
      box.removeAttribute("tabindex");
    }
  }

  // A long table in which one can search: words in any cell, and a choice for some columns.
  function findable(box) {
    const rows = [...box.querySelectorAll("tbody tr")];
    const cell = (row, column) => row.cells[column].textContent.trim();
    const form = document.createElement("form"), said = document.createElement("output");
    const words = document.createElement("input");
    words.type = "search";
    const named = (label, control) => {
      const line = document.createElement("label");
      line.append(`${label} `, control);
      form.append(line);
    };
    named("words", words);
    const choices = box.dataset.find.split(" ").map((text) => {
      const column = Number(text), choice = document.createElement("select");
      const values = [...new Set(rows.map((row) => cell(row, column)))];
      choice.append(new Option("all", ""), ...values.map((value) => new Option(value)));
      named(box.querySelectorAll("thead th")[column].textContent, choice);
      return [column, choice];
    });
    const show = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let count = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        const kept = wanted.every((word) => text.includes(word)) &&
          choices.every(([column, { value }]) => !value || cell(row, column) === value);
        row.hidden = !kept;
        count += kept;
      }
      said.textContent = `${count} of ${rows.length} lines`;
      mark(box);
    };
    form.className = "vad-find";
    form.append(said);
    form.addEventListener("input", show);
    form.addEventListener("submit", (event) => event.preventDefault());
    box.before(form);
    show();
  }

  const markAll = () => document.querySelectorAll(SCROLLS).forEach(mark);

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll(".vad-scroll[data-find]").forEach(findable);
    for (const picture of document.querySelectorAll("div.cell_output img")) {
      const wide = () => picture.classList.toggle("vad-wide", picture.naturalWidth > 560);
      picture.complete ? wide() : picture.addEventListener("load", wide);
    }
    document.addEventListener("scroll", (event) => {
      if (event.target.matches?.(SCROLLS)) mark(event.target);
    }, true);
    addEventListener("resize", markAll);
    addEventListener("load", markAll);
    document.addEventListener("toggle", markAll, true); // a folded cell is opened
    window.MathJax?.startup?.promise?.then(markAll);
    markAll();
  });
})();
