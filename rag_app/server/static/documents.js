// The documents of the index, and the drawer that they are in on a narrow screen.

import { api } from "/static/api.js";
import { $, confirm, el, icon, line } from "/static/dom.js";
import { language, number, t } from "/static/i18n.js";
import { refreshIndexes } from "/static/indexes.js";
import { emit, on, state, summaries } from "/static/store.js";
import { openSummary } from "/static/summary.js";
import { showDocument } from "/static/viewer.js";

/** Rows that are made at a time, as the list is scrolled. */
const ROWS = 100;
/** Documents from which on there is a field to search them. */
const MANY = 10;

let found = [];

export function startDocuments() {
  on("index", () => {
    found = [];
    $("document-search").value = "";
    $("document-search").hidden = true;
    $("documents").replaceChildren();
    line($("no-documents"), null);
    $("library-size").textContent = "";
    line($("library-count"), null);
    loadDocuments();
  });
  on("indexed", async (index) => {
    if (index === state.index) await loadDocuments();
    await refreshIndexes().catch(() => {});
  });
  $("document-search").addEventListener("input", showFound);
  const atEnd = new IntersectionObserver(
    (entries) => {
      if (!entries.at(-1).isIntersecting || !addRows()) return;
      atEnd.unobserve($("documents-end")); // observed again, it tells whether it is still in sight
      atEnd.observe($("documents-end"));
    },
    { root: $("library"), rootMargin: "0px 0px 800px 0px" },
  );
  atEnd.observe($("documents-end"));
  startDrawer();
}

/** Load the documents of the index chosen. */
export async function loadDocuments() {
  const index = state.index;
  if (index === null) return void emit("documents");
  try {
    const { data } = await api.documents(index);
    if (index !== state.index) return;
    state.documents = data;
  } catch (error) {
    if (index === state.index) line($("library-error"), error.message);
    return;
  }
  show();
  emit("documents");
}

function show() {
  const list = state.documents;
  const passages = list.reduce((sum, one) => sum + (one.passages ?? 0), 0);
  $("document-search").hidden = list.length <= MANY;
  if ($("document-search").hidden) $("document-search").value = "";
  showFound();
  $("library-size").textContent = list.length
    ? t("size", { documents: number(list.length), passages: number(passages) })
    : "";
  line($("library-count"), list.length ? number(list.length) : null);
  const count = list.length ? ` ${number(list.length)}` : "";
  $("open-library").setAttribute("aria-label", `${t("documents")}${count}`);
}

/** Show the documents whose names hold what is searched for; a folder is part of a name. */
function showFound() {
  const wanted = $("document-search").value.trim().toLowerCase();
  found = state.documents.filter(({ name }) => name.toLowerCase().includes(wanted));
  $("documents").replaceChildren();
  addRows();
  const none = t(state.documents.length ? "documentNone" : "noDocuments");
  line($("no-documents"), found.length ? null : none);
}

/** Add the next rows to the list; whether there were more. */
function addRows() {
  const from = $("documents").children.length;
  const rows = found.slice(from, from + ROWS).map(item);
  rows.forEach((row, place) => {
    row.setAttribute("aria-setsize", found.length);
    row.setAttribute("aria-posinset", from + place + 1);
  });
  $("documents").append(...rows);
  return rows.length > 0;
}

function item(one) {
  const meta = [
    t("documentMeta", { characters: number(one.characters ?? 0) }),
    when(one.indexed_at),
  ].filter(Boolean);
  const open = el(
    "button",
    { type: "button", class: "name", title: one.name },
    icon("file"),
    el("span", { class: "lines" }, el("span", { class: "file-name" }, one.name),
      el("small", { class: "muted" }, meta.join(" · "))),
  );
  open.addEventListener("click", () => opened(() => showDocument(one, open)));
  const summarize = button("summarize", "summary", t("summarizeName", one));
  summarize.addEventListener("click", () => opened(() => openSummary(one, summarize)));
  const remove = button("remove", "trash", t("removeName", one));
  remove.addEventListener("click", () => removeDocument(one));
  return el(
    "li",
    { class: "document", "data-id": one.id, "data-testid": "document" },
    open,
    el("span", { class: "tools" }, summarize, remove),
  );
}

function button(name, symbol, label) {
  const attributes = { type: "button", class: `icon quiet ${name}`, "data-testid": name };
  return el("button", { ...attributes, "aria-label": label, title: label }, icon(symbol));
}

function when(value) {
  const date = new Date(typeof value === "number" ? value * 1000 : value || NaN);
  if (Number.isNaN(date.getTime())) return "";
  const thisYear = date.getFullYear() === new Date().getFullYear();
  const style = { month: "short", day: "numeric", ...(thisYear ? {} : { year: "numeric" }) };
  return new Intl.DateTimeFormat(language === "zh" ? "zh-CN" : "en", style).format(date);
}

async function removeDocument(one) {
  const index = state.index;
  const sure = await confirm({
    title: t("confirmDocument", one),
    body: t("confirmDocumentBody"),
    action: t("remove"),
  });
  if (!sure) return;
  line($("library-error"), null);
  try {
    await api.removeDocument(index, one.id);
  } catch (error) {
    if (error.status !== 404) return void line($("library-error"), error.message);
  }
  summaries.remove(index, one.id);
  await loadDocuments();
  await refreshIndexes().catch(() => {});
  ($("documents").querySelector("button") ?? $("file-input")).focus();
}

function startDrawer() {
  $("open-library").addEventListener("click", () => drawer(true));
  $("close-library").addEventListener("click", () => drawer(false));
  $("scrim").addEventListener("click", () => drawer(false));
  addEventListener("keydown", (event) => {
    const open = document.body.classList.contains("library-open");
    if (open && event.key === "Escape" && !document.querySelector("dialog[open]")) drawer(false);
  });
  matchMedia("(max-width: 820px)").addEventListener("change", () => drawer(false, false));
}

/** Open or close the drawer of a narrow screen. */
export function drawer(open, moveFocus = true) {
  document.body.classList.toggle("library-open", open);
  $("open-library").setAttribute("aria-expanded", String(open));
  $("scrim").hidden = !open;
  $("main").inert = open;
  if (!moveFocus) return;
  (open ? $("close-library") : $("open-library")).focus();
}

/** Open a panel from the list; the drawer gives way to it. */
function opened(open) {
  if (document.body.classList.contains("library-open")) drawer(false);
  open();
}
