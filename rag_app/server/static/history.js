// Conversations that were put aside: searched, opened again, renamed, deleted.

import { openSaved } from "/static/chat.js";
import { $, confirm, el, icon, line } from "/static/dom.js";
import { number, t } from "/static/i18n.js";
import { on, saved, state } from "/static/store.js";

export function startHistory() {
  $("open-history").addEventListener("click", () => {
    $("history-search").value = "";
    show();
    $("history").showModal();
  });
  $("history-search").addEventListener("input", show);
  on("index", showButton);
  on("saved", showButton);
}

function showButton() {
  $("open-history").hidden = state.index === null || !saved.all(state.index).length;
}

/** Show the conversations that hold what is searched for, in a name, a question or an answer. */
function show() {
  const wanted = $("history-search").value.trim().toLowerCase();
  const holds = (text) => (text ?? "").toLowerCase().includes(wanted);
  const found = saved
    .all(state.index)
    .filter(({ name, turns }) => holds(name) || turns.some((one) => holds(one.question) || holds(one.text)));
  $("history-list").replaceChildren(...found.map(row));
  line($("history-none"), found.length ? null : t("historyNone"));
}

function row({ id, name, turns }) {
  const open = el(
    "button",
    { type: "button", class: "name", "data-testid": "saved" },
    el("span", { class: "lines" }, el("span", { class: "file-name" }, name),
      el("small", { class: "muted" }, t("turns", { n: number(turns.length) }))),
  );
  open.addEventListener("click", () => {
    const problem = openSaved(id);
    if (problem) return void line($("history-none"), problem);
    $("history").close();
    $("question").focus();
  });
  const rename = tool("rename", "rename", t("rename", { name }), () => edit(item, id, name));
  const remove = tool("remove", "trash", t("removeChat", { name }), async () => {
    const sure = await confirm({
      title: t("removeChat", { name }),
      body: t("removeChatBody"),
      action: t("remove"),
    });
    if (sure) saved.remove(state.index, id);
    show();
    $("history-search").focus();
  });
  const item = el("li", { class: "document" }, open, el("span", { class: "tools" }, rename, remove));
  return item;
}

function tool(name, symbol, label, action) {
  const attributes = { type: "button", class: `icon quiet ${name}`, "aria-label": label, title: label };
  const button = el("button", attributes, icon(symbol));
  button.addEventListener("click", action);
  return button;
}

/** Edit the name of a conversation in its row: Enter keeps it, Esc does not. */
function edit(item, id, name) {
  const field = el("input", { type: "text", class: "rename-field", maxlength: 200, "aria-label": t("indexName") });
  field.value = name;
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || !["Enter", "Escape"].includes(event.key)) return;
    event.preventDefault();
    if (event.key === "Enter" && field.value.trim()) saved.rename(state.index, id, field.value.trim());
    show();
    $("history-search").focus();
  });
  item.replaceChildren(field);
  field.select();
}
