// Choosing, creating and deleting indexes.

import { ApiError, api } from "./api.js";
import { forgetIndex } from "./conversations.js";
import { $, confirm, el, line, modal } from "./dom.js";
import { number, t } from "./i18n.js";
import { libraryError } from "./panels.js";
import { chosen, emit, state, summaries, takeServer } from "./store.js";

let loaded = false;

export function startIndexes() {
  $("index-select").addEventListener("change", (event) => choose(event.target.value));
  $("new-index").addEventListener("click", () => createIndex());
  $("delete-index").addEventListener("click", deleteIndex);
}

/** Load the list of indexes and the server's settings; keeps the one chosen, or takes the first. */
export async function loadIndexes() {
  await fetchIndexes();
  const names = state.indexes.map((one) => one.name);
  const wanted = [state.index, chosen.get()].find((name) => names.includes(name));
  choose(wanted ?? names[0] ?? null);
}

async function fetchIndexes() {
  const [list, server] = await Promise.all([api.indexes(), api.settings()]);
  state.indexes = list.data;
  takeServer(server);
  show();
}

/** Refresh the numbers of the list without changing what is chosen. */
export async function refreshIndexes() {
  await fetchIndexes();
  emit("indexes");
}

function show() {
  const select = $("index-select");
  select.replaceChildren(
    ...state.indexes.map((one) => el("option", { value: one.name }, one.name)),
  );
  if (!state.indexes.length) select.append(el("option", { value: "" }, t("noIndex")));
  select.disabled = !state.indexes.length;
  if (state.index) select.value = state.index;
  $("delete-index").hidden = !state.indexes.length;
}

function choose(name) {
  const changed = !loaded || name !== state.index;
  loaded = true;
  state.index = name;
  chosen.set(name);
  $("index-select").value = name ?? "";
  if (changed) state.documents = [];
  emit(changed ? "index" : "indexes", name);
}

/** Ask for a name and create an index; resolves to whether one was created. */
export function createIndex() {
  const dialog = $("name-dialog");
  const form = dialog.querySelector("form");
  form.reset();
  line($("name-error"), null);
  let created = false;
  form.onsubmit = async (event) => {
    event.preventDefault();
    const button = $("create-index");
    if (button.disabled) return;
    button.disabled = true;
    try {
      const { name } = await api.createIndex($("index-name").value.trim());
      created = true;
      forgetIndex(name);
      summaries.clear(name);
      await fetchIndexes();
      dialog.close();
      choose(name);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      line($("name-error"), error.message);
      $("index-name").select();
    } finally {
      button.disabled = false;
    }
  };
  return modal(dialog).then(() => created);
}

async function deleteIndex() {
  const name = state.index;
  const documents = number(state.documents.length);
  const sure = await confirm({
    title: t("confirmIndex", { index: name }),
    body: t("confirmIndexBody", { documents }),
    action: t("confirmIndexYes"),
  });
  if (!sure) return;
  try {
    await api.deleteIndex(name);
  } catch (error) {
    if (error.status !== 404) return void libraryError(error.message);
  }
  emit("forget", name);
  forgetIndex(name);
  summaries.clear(name);
  await loadIndexes().catch((error) => libraryError(error.message));
}
