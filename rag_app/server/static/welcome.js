// What a newcomer sees: the next thing to do.

import { api } from "./api.js";
import { suggest, turnCount } from "./chat.js";
import { $, el, icon } from "./dom.js";
import { number, t } from "./i18n.js";
import { createIndex } from "./indexes.js";
import { on, state } from "./store.js";
import { formatNames } from "./uploads.js";

let known = false;

export function startWelcome() {
  on("documents", () => {
    known = true;
    show();
  });
  on("index", () => {
    known = state.index === null;
    show();
  });
  on("turns", show);
}

function show() {
  const box = $("welcome");
  box.hidden = !known || turnCount() !== 0;
  if (box.hidden) return;
  if (state.index === null) box.replaceChildren(...first());
  else if (state.documents.length) box.replaceChildren(...ready());
  else box.replaceChildren(...empty());
}

function first() {
  const step = (n, title, text) =>
    el("li", {}, el("span", { class: "number" }, String(n)),
      el("span", {}, el("b", {}, title), el("span", { class: "muted" }, text)));
  return [
    el("h2", {}, t("welcomeTitle")),
    el("p", { class: "lead" }, t("welcomeLead")),
    el("ol", { class: "steps" },
      step(1, t("step1"), t("step1Text")),
      step(2, t("step2"), t("step2Text", { formats: formatNames() })),
      step(3, t("step3"), t("step3Text"))),
    action("plus", t("step1"), () => createIndex()),
  ];
}

function empty() {
  return [
    el("h2", {}, t("addTitle", { index: state.index })),
    el("p", { class: "lead" }, t("addLead")),
    action("upload", t("addFiles"), () => $("file-input").click()),
    el("p", { class: "muted" }, formatNames()),
  ];
}

function ready() {
  const documents = number(state.documents.length);
  const examples = el("div", { class: "examples" });
  showExamples(examples, state.index);
  return [
    el("h2", {}, t("readyTitle")),
    el("p", { class: "lead" }, t("readyLead", { index: state.index, documents })),
    examples,
  ];
}

/** Questions that the documents answer; without any, the question field is enough. */
async function showExamples(box, index) {
  const { data } = await api.suggestions(index).catch(() => ({ data: [] }));
  if (index !== state.index) return;
  for (const { question } of data) {
    const onclick = () => suggest(question);
    box.append(el("button", { type: "button", class: "example", onclick }, question));
  }
}

const action = (symbol, label, onclick) =>
  el("button", { type: "button", class: "primary large", onclick }, icon(symbol), label);
