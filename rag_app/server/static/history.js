// Conversations that were put aside: searched, opened again, renamed, deleted.

import { api } from "./api.js";
import { openConversation, shownConversation } from "./chat.js";
import * as conversations from "./conversations.js";
import { $, composing, confirm, el, iconButton, line } from "./dom.js";
import { date, number, t } from "./i18n.js";
import { on, state } from "./store.js";

/** Milliseconds after the last keystroke before a search. */
const PAUSE = 150;

let typing = 0;

export function startHistory() {
  $("open-history").addEventListener("click", () => {
    $("history-search").value = "";
    $("history").showModal();
    show();
  });
  $("history-search").addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(show, PAUSE);
  });
  for (const event of ["turns", "conversations"]) on(event, showButton);
}

/** The other conversations about the index, latest first. */
async function others(search = "") {
  const { index } = state;
  const { data } = index === null ? { data: [] } : await api.conversations(index, search);
  return index === state.index ? data.filter(({ id }) => id !== shownConversation()) : [];
}

async function showButton() {
  $("open-history").hidden = !(await others().catch(() => [])).length;
}

/** Show the conversations whose name, questions or answers match the search. */
async function show() {
  const search = $("history-search").value.trim();
  try {
    const found = await others(search);
    if (search !== $("history-search").value.trim()) return;
    $("history-list").replaceChildren(...found.map(row));
    line($("history-none"), found.length ? null : t("historyNone"));
  } catch (error) {
    line($("history-none"), error.message);
  }
}

function row(one) {
  const { id, name, turns, changed } = one;
  const onclick = () => {
    openConversation(id);
    $("history").close();
    $("question").focus();
  };
  const open = el(
    "button",
    { type: "button", class: "name", "data-testid": "saved", onclick },
    el("span", { class: "lines" }, el("span", { class: "file-name" }, name),
      el("small", { class: "muted" }, `${t("turns", { n: number(turns) })} · ${date(changed)}`)),
  );
  const rename = iconButton("rename", "rename", t("rename", { name }), () => edit(item, one));
  const remove = iconButton("remove", "trash", t("removeChat", { name }), async () => {
    const sure = await confirm({
      title: t("removeChat", { name }),
      body: t("removeChatBody"),
      action: t("remove"),
    });
    if (!sure) return;
    const problem = await conversations.remove(state.index, id).catch((error) => error.message);
    await show();
    if (problem) line($("history-none"), problem);
    showButton();
    $("history-search").focus();
  });
  const item = el("li", { class: "document" }, open, el("span", { class: "tools" }, rename, remove));
  return item;
}

/** Edit the name of a conversation in its row: Enter keeps it, Esc does not. */
function edit(item, one) {
  let { id, name } = one;
  const field = el("input", { type: "text", class: "rename-field", maxlength: 200, "aria-label": t("indexName") });
  field.value = name;
  field.addEventListener("keydown", (event) => {
    if (composing(event) || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    const wanted = field.value.trim();
    if (event.key === "Enter" && wanted) {
      conversations.rename(state.index, id, wanted);
      name = wanted;
    }
    item.replaceWith(row({ ...one, name }));
    $("history-search").focus();
  });
  item.replaceChildren(field);
  field.select();
}
