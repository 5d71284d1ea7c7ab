// A document beside the answer, as its text or its pages, with the passage highlighted.

import { api } from "./api.js";
import { $, el, line } from "./dom.js";
import { t } from "./i18n.js";
import { clearPages, hasPages, showPages, startPages } from "./pages.js";
import { openPanel } from "./panels.js";
import { on, state } from "./store.js";
import { placeOf } from "./text.js";

/** Characters shown before and after the passage; more on request. */
const AROUND = 20_000;

const texts = new Map();
let loading = null;
let current = null;
/** Whether pages are shown where there are any. */
let asPages = true;

export function startViewer() {
  on("documents", () => texts.clear());
  on("index", () => {
    texts.clear();
    $("viewer").close();
  });
  $("viewer").addEventListener("close", () => {
    loading?.abort();
    clearPages();
  });
  startPages();
  $("view-page").addEventListener("click", () => choose(true));
  $("view-text").addEventListener("click", () => choose(false));
}

function choose(pages) {
  asPages = pages;
  view();
}

/** Open the document of a citation at its passage. */
export function showCitation(citation, opener) {
  show({ id: citation.document, name: citation.name, citation, opener });
}

/** A button that opens the document of a citation, named by its mark; `more` is as of `el`. */
export function citationButton(citation, more = {}) {
  const label = t("citation", { n: citation.marker, place: placeOf(citation) });
  const attributes = { type: "button", class: "citation", "data-testid": "citation", "aria-label": label };
  const onclick = () => showCitation(citation, button);
  const button = el("button", { ...attributes, ...more, onclick }, String(citation.marker));
  return button;
}

/** Open a document at its beginning. */
export function showDocument(one, opener) {
  show({ id: one.id, name: one.name, citation: null, opener });
}

async function show({ id, name, citation, opener }) {
  loading?.abort();
  const mine = new AbortController();
  loading = mine;
  $("viewer-title").textContent = name;
  $("viewer-place").textContent = citation ? placeOf(citation).slice(name.length + 3) : "";
  line($("viewer-note"), t("loadingText"));
  $("viewer-text").replaceChildren();
  clearPages();
  pagesShown(false, false);
  openPanel($("viewer"), opener);
  try {
    const text = await textOf(id, mine.signal);
    if (mine.signal.aborted) return;
    const found = citation ? unitsIn(text, citation) : [0, 0];
    line($("viewer-note"), null);
    if (!found) return showAlone(citation, t("changed"));
    current = { id, name, text, found, signal: mine.signal };
    await view();
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 404 && citation) showAlone(citation, t("gone"));
    else line($("viewer-note"), error.message);
  }
}

async function textOf(id, signal) {
  if (!texts.has(id)) texts.set(id, (await api.text(state.index, id, signal)).text);
  return texts.get(id);
}

/** Where a cited passage stands in the text as it is now, in UTF-16 units; null if nowhere. */
function unitsIn(text, citation) {
  const [start, end] = unitsOf(text, citation.start, citation.end);
  if (same(text.slice(start, end), citation.text)) return [start, end];
  const found = text.indexOf(citation.text);
  return found >= 0 ? [found, found + citation.text.length] : null;
}

/** Show the current document as it is wanted; as text where its pages can't be shown. */
async function view() {
  const { id, name, text, found, signal } = current;
  const [start, end] = found;
  const paged = hasPages(name);
  if (!paged || !asPages) {
    pagesShown(paged, false);
    line($("viewer-note"), null);
    return showFrom(text, start, end);
  }
  pagesShown(true, true);
  const points = (units) => Array.from(text.slice(0, units)).length;
  const place = end > start ? { start: points(start), end: points(end) } : null;
  try {
    await showPages({ id, name, place, text: text.slice(start, end), signal });
  } catch (error) {
    if (error.name === "AbortError" || signal.aborted) return undefined;
    pagesShown(true, false);
    showFrom(text, start, end);
    line($("viewer-note"), error.message);
  }
  return undefined;
}

/** Show the choice between pages and text, where there is one, and what is chosen. */
function pagesShown(choice, pages) {
  $("viewer-bar").hidden = !choice;
  $("viewer-pages").hidden = $("viewer-page").hidden = !pages;
  $("viewer-text").hidden = pages;
  $("view-page").setAttribute("aria-pressed", String(pages));
  $("view-text").setAttribute("aria-pressed", String(!pages));
}

const same = (one, other) => one.replace(/\s+/g, "") === other.replace(/\s+/g, "");

/** Offsets in UTF-16 units of offsets in code points, as Python counts. */
function unitsOf(text, ...offsets) {
  if (!/[\ud800-\udbff]/.test(text)) return offsets;
  const wanted = new Map(offsets.map((offset) => [offset, text.length]));
  let points = 0;
  for (let unit = 0; unit < text.length; points += 1) {
    if (wanted.has(points)) wanted.set(points, unit);
    unit += text.codePointAt(unit) > 0xffff ? 2 : 1;
  }
  return offsets.map((offset) => wanted.get(offset));
}

function showAlone(citation, note) {
  line($("viewer-note"), note);
  $("viewer-text").replaceChildren(el("mark", { tabindex: "-1" }, citation.text));
  $("viewer-text").scrollTop = 0;
}

function showFrom(text, start, end) {
  const box = $("viewer-text");
  if (!text.trim()) return line($("viewer-note"), t("emptyText"));
  const from = lineBreak(text, Math.max(0, start - AROUND));
  const to = whole(text, Math.min(text.length, end + AROUND));
  const before = document.createTextNode(text.slice(from, start));
  const after = document.createTextNode(text.slice(end, to));
  const mark = end > start ? el("mark", { tabindex: "-1" }, text.slice(start, end)) : null;
  box.replaceChildren(before, ...(mark ? [mark] : []), after);
  if (from > 0) box.prepend(more("earlier", text, 0, from));
  if (to < text.length) box.append(more("later", text, to, text.length));
  if (!mark) {
    box.scrollTop = 0;
    box.focus({ preventScroll: true });
    return undefined;
  }
  box.scrollTop += mark.getBoundingClientRect().top - box.getBoundingClientRect().top - 72;
  mark.focus({ preventScroll: true });
  return undefined;
}

/** A place near `offset` that splits no line and no surrogate pair. */
function lineBreak(text, offset) {
  return offset === 0 ? 0 : text.lastIndexOf("\n", offset) + 1;
}

/** `offset`, or the one before where it would split a surrogate pair. */
function whole(text, offset) {
  const code = text.charCodeAt(offset);
  return code >= 0xdc00 && code <= 0xdfff ? offset - 1 : offset;
}

/** A button that shows more of the text, a bounded piece at a time. */
function more(key, text, from, to) {
  const button = el("button", { type: "button", class: "text more" }, t(key));
  button.addEventListener("click", () => {
    const box = $("viewer-text");
    const height = box.scrollHeight;
    if (key === "earlier") {
      const start = lineBreak(text, Math.max(0, to - 5 * AROUND));
      button.replaceWith(
        ...(start > 0 ? [more(key, text, 0, start)] : []),
        document.createTextNode(text.slice(start, to)),
      );
      box.scrollTop += box.scrollHeight - height;
    } else {
      const end = whole(text, Math.min(to, from + 5 * AROUND));
      button.replaceWith(
        document.createTextNode(text.slice(from, end)),
        ...(end < to ? [more(key, text, end, to)] : []),
      );
    }
    box.focus({ preventScroll: true });
  });
  return button;
}
