// The documents of the index.

import { api } from "./api.js";
import { $, confirm, el, icon, iconButton, line } from "./dom.js";
import { date, number, t, translateNote } from "./i18n.js";
import { refreshIndexes } from "./indexes.js";
import { libraryError, opened } from "./panels.js";
import { emit, on, state, summaries } from "./store.js";
import { openSummary } from "./summary.js";
import { showDocument } from "./viewer.js";

/** Rows added at a time as the list is scrolled. */
const ROWS = 100;
/** Number of documents from which there is a search field. */
const MANY = 10;

let found = [];

export function startDocuments() {
  on("index", () => {
    found = [];
    state.chosen.clear();
    $("document-search").value = $("document-folder").value = "";
    $("document-find").hidden = true;
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
  $("document-folder").addEventListener("change", showFound);
  $("choose-found").addEventListener("click", () => choose(found, true));
  for (const id of ["choose-none", "chosen-none"]) {
    $(id).addEventListener("click", () => {
      choose([], false);
      $("question").focus();
    });
  }
  on("chosen", showChosen);
  const atEnd = new IntersectionObserver(
    (entries) => {
      if (!entries.at(-1).isIntersecting || !addRows()) return;
      atEnd.unobserve($("documents-end")); // observed again, it tells whether it is still in sight
      atEnd.observe($("documents-end"));
    },
    { root: $("library"), rootMargin: "0px 0px 800px 0px" },
  );
  atEnd.observe($("documents-end"));
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
    if (index === state.index) libraryError(error.message);
    return;
  }
  show();
  emit("documents");
}

function show() {
  const list = state.documents;
  const passages = list.reduce((sum, one) => sum + (one.passages ?? 0), 0);
  const there = new Set(list.map(({ id }) => id));
  for (const id of state.chosen) if (!there.has(id)) state.chosen.delete(id);
  $("document-find").hidden = list.length <= MANY;
  if ($("document-find").hidden) $("document-search").value = "";
  showFolders(list);
  showFound();
  $("library-size").textContent = list.length
    ? t("size", { documents: number(list.length), passages: number(passages) })
    : "";
  line($("library-count"), list.length ? number(list.length) : null);
  const count = list.length ? ` ${number(list.length)}` : "";
  $("open-library").setAttribute("aria-label", `${t("documents")}${count}`);
}

/** Offer the folders that documents were uploaded with, each with all below it. */
function showFolders(list) {
  const counts = new Map();
  for (const { name } of list) {
    const parts = name.split("/").slice(0, -1);
    parts.forEach((_, depth) => {
      const folder = `${parts.slice(0, depth + 1).join("/")}/`;
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    });
  }
  const select = $("document-folder");
  const chosen = select.value;
  const option = ([folder, count]) => el("option", { value: folder }, `${folder} (${number(count)})`);
  const folders = [...counts].sort(([one], [other]) => (one < other ? -1 : 1));
  select.replaceChildren(el("option", { value: "" }, t("folderAll")), ...folders.map(option));
  select.value = counts.has(chosen) ? chosen : "";
  select.hidden = !counts.size;
}

/** Show the documents of the folder whose names hold what is searched for. */
function showFound() {
  const wanted = $("document-search").value.trim().toLowerCase();
  const folder = $("document-folder").value;
  found = state.documents.filter(
    ({ name }) => name.startsWith(folder) && name.toLowerCase().includes(wanted),
  );
  $("documents").replaceChildren();
  addRows();
  showChosen();
  const none = t(state.documents.length ? "documentNone" : "noDocuments");
  line($("no-documents"), found.length ? null : none);
}

/** Add the next rows to the list; returns whether there were any. */
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

/** Ask only these documents, or these as well as those chosen before. */
function choose(documents, add) {
  if (!add) state.chosen.clear();
  for (const { id } of documents) state.chosen.add(id);
  emit("chosen");
}

/** Show which documents alone are asked. */
function showChosen() {
  for (const box of document.querySelectorAll("#documents .choose")) {
    box.checked = state.chosen.has(box.value);
  }
  const count = state.chosen.size;
  const some = found.length > 0 && found.length < state.documents.length;
  $("choose-found").hidden = !some || found.every(({ id }) => state.chosen.has(id));
  $("choose-found").textContent = t("chooseFound", { n: number(found.length) });
  $("choose-none").hidden = !count;
  $("choose-none").textContent = t("chooseNone", { n: number(count) });
  $("chosen").hidden = !count;
  const names = state.documents.filter(({ id }) => state.chosen.has(id)).map(({ name }) => name);
  $("chosen-names").textContent = named(names);
}

/** Names in a line: a few of them, and how many there are. */
export function named(names) {
  const few = names.slice(0, 3).join(t("comma"));
  return names.length > 3 ? t("askedSome", { names: few, n: number(names.length) }) : t("askedOnly", { names: few });
}

function chooser(one) {
  const onchange = () => {
    if (box.checked) state.chosen.add(one.id);
    else state.chosen.delete(one.id);
    emit("chosen");
  };
  const attributes = { type: "checkbox", class: "choose", "data-testid": "choose", value: one.id };
  const box = el("input", { ...attributes, "aria-label": t("chooseName", one), onchange });
  box.checked = state.chosen.has(one.id);
  return box;
}

function item(one) {
  const several = state.documents.length > 1;
  const meta = [
    t("documentMeta", { characters: number(one.characters ?? 0) }),
    date(one.indexed_at),
  ].filter(Boolean);
  const open = el(
    "button",
    { type: "button", class: "name", title: one.name, onclick: () => opened(() => showDocument(one, open)) },
    several ? null : icon("file"), // its place is for the box
    el("span", { class: "lines" }, fileName(one.name),
      el("small", { class: "muted" }, meta.join(" · ")),
      one.notes?.length ? el("small", { class: "flag" }, one.notes.map(translateNote).join(t("comma"))) : null),
  );
  const summarize = iconButton("summarize", "summary", t("summarizeName", one), () =>
    opened(() => openSummary(one, summarize)),
  );
  const remove = iconButton("remove", "trash", t("removeName", one), () => removeDocument(one));
  return el(
    "li",
    { class: "document", "data-id": one.id, "data-testid": "document" },
    several ? chooser(one) : null,
    open,
    el("span", { class: "tools" }, summarize, remove),
  );
}

/** A name, its folders less prominent. */
function fileName(name) {
  const cut = name.lastIndexOf("/") + 1;
  const folders = cut ? el("span", { class: "muted" }, name.slice(0, cut)) : null;
  return el("span", { class: "file-name" }, folders, name.slice(cut));
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
    if (error.status !== 404) return void libraryError(error.message);
  }
  summaries.remove(index, one.id);
  await loadDocuments();
  await refreshIndexes().catch(() => {});
  ($("documents").querySelector("button") ?? $("file-input")).focus();
}
