// What is shown of a question and its answer.

import { $, copyFrom, el, line, save, textButton } from "./dom.js";
import { number, t, translateNote } from "./i18n.js";
import { renderMarkdown } from "./markdown.js";
import { rating } from "./rating.js";
import { markdown, percent, placeOf } from "./text.js";
import { explain, narrowed, trust } from "./trust.js";
import { citationButton, showCitation } from "./viewer.js";

const SHOWN_SOURCES = 4;

const views = new WeakMap();

/** What `view` made of a turn, if it did. */
export const viewOf = (turn) => views.get(turn);

/** What is shown of a turn: its node, and how to bring it up to date. */
export function view(turn) {
  const text = el("div", { class: "prose" });
  const label = el("p", { class: "badge", hidden: true });
  const foot = el("div", { class: "foot" });
  const answer = el("article", { class: "answer", "data-testid": "answer" }, label, text, foot);
  const question = el("h2", { class: "asked" },
    el("span", { class: "hidden-label" }, t("you")), turn.question,
    turn.within ? el("small", { class: "muted" }, turn.within) : null);
  const node = el("li", { class: "turn" }, question, answer);
  let waiting = false;
  const update = () => {
    waiting = false;
    const pinned = isAtEnd();
    answer.dataset.status = turn.status;
    answer.classList.toggle("not-found", !turn.answered);
    line(label, turn.answered ? null : t("notFound"));
    renderMarkdown(text, turn.text, (marker) => markButton(turn, marker));
    if (turn.status === "running" && !turn.text) text.replaceChildren(...waitingFor(turn));
    if (turn.status !== "running") foot.replaceChildren(...footOf(turn));
    if (pinned && turn.status === "running") scrollDown();
    return pinned;
  };
  const later = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => waiting && update());
  };
  const shown = { node, update, later };
  views.set(turn, shown);
  update();
  return shown;
}

/** What is shown until the answer begins: the sentence that may carry it. */
function waitingFor(turn) {
  const shown = [thinking(turn)];
  const citation = turn.citations.find((one) => one.marker === turn.likely?.marker);
  if (citation) {
    const said = `${citation.name}: ${turn.likely.sentence}`;
    shown.push(el("p", { class: "muted", "data-testid": "likely" }, said));
  }
  return shown;
}

function thinking(turn) {
  const said = turn.citations.length ? t("writing") : t("searching");
  return el("p", { class: "thinking" }, el("span", { class: "dots", "aria-hidden": "true" }), said);
}

function markButton(turn, marker) {
  const citation = turn.citations.find((one) => one.marker === marker);
  if (!citation) return null;
  const button = citationButton(citation);
  explain(button, citation);
  return button;
}

function footOf(turn) {
  const parts = [];
  if (turn.status === "stopped") parts.push(el("p", { class: "muted stopped" }, t("stoppedHere")));
  if (turn.status === "failed") parts.push(el("p", { class: "error", role: "alert" }, turn.error));
  if (!turn.answered && turn.citations.length) {
    parts.push(el("p", { class: "muted" }, t("notFoundHint")));
  }
  if (turn.notes.length) {
    parts.push(el("ul", { class: "notes" }, ...turn.notes.map((note) => el("li", {}, translateNote(note)))));
  }
  const sure = trust(turn);
  if (sure) parts.push(sure);
  if (turn.citations.length && turn.status !== "failed") parts.push(sources(turn));
  const [thumbs, more] = rating(turn);
  parts.push(actions(turn, thumbs));
  if (more) parts.push(more);
  return parts;
}

function sources(turn) {
  const rows = turn.citations.map((citation) => sourceRow(citation, nearestIn(turn, citation)));
  const list = (items) => el("ol", { class: "sources" }, ...items);
  const box = el(
    "section",
    { class: "source-box", "data-testid": "sources" },
    el("h3", {}, t(turn.answered ? "sources" : "nearest")),
    list(rows.slice(0, SHOWN_SOURCES)),
  );
  const rest = rows.slice(SHOWN_SOURCES);
  if (rest.length) {
    const summary = el("summary", {}, t("moreSources", { n: number(rest.length) }));
    box.append(el("details", {}, summary, list(rest)));
  }
  return box;
}

/** The sentences of a passage that are nearest to a question that was refused, as they stand. */
function nearestIn(turn, citation) {
  return (turn.nearest ?? [])
    .filter((one) => one.marker === citation.marker)
    .sort((one, other) => (one.start ?? 0) - (other.start ?? 0));
}

function sourceRow(citation, nearest) {
  const share = percent(citation);
  const place = placeOf(citation).slice(citation.name.length + 3);
  const text = (words, most) => words.replace(/\s+/g, " ").slice(0, most);
  const snippets = nearest.map((one) => el("q", { class: "snippet whole" }, text(one.sentence, 200)));
  const shown = nearest.length === 1 ? narrowed(citation, nearest[0]) : citation;
  const button = el(
    "button",
    { type: "button", class: "source", "data-testid": "source", onclick: () => showCitation(shown, button) },
    el("span", { class: "number" }, String(citation.marker)),
    el(
      "span",
      { class: "lines" },
      el("span", { class: "source-name" }, el("b", {}, citation.name),
        place ? el("span", { class: "muted" }, place) : null),
      ...(snippets.length ? snippets : [el("span", { class: "snippet" }, text(citation.text, 120))]),
    ),
    share === null ? null : relevance(share),
  );
  return el("li", {}, button);
}

function relevance(share) {
  const meter = el("meter", { min: 0, max: 100, value: share, "aria-hidden": "true" });
  return el("span", { class: "relevance" }, meter, el("small", {}, t("relevance", { n: share })));
}

function actions(turn, thumbs) {
  const box = el("div", { class: "actions" });
  if (turn.text) {
    const asText = () => markdown(turn.question, turn.text, turn.citations, turn.answered);
    const copy = textButton("copy", t("copy"), () => copyFrom(copy, asText(), $("status")));
    box.append(copy, textButton("download", t("download"), () => save(turn.question, asText())));
  }
  box.append(el("span", { class: "retry-place" }), thumbs ?? "");
  return box;
}

function isAtEnd() {
  const box = $("conversation");
  return box.scrollHeight - box.scrollTop - box.clientHeight < 80;
}

/** Show the end of a turn, unless its question would then be out of sight. */
export function scrollToEnd(node) {
  const box = $("conversation");
  const top = node.getBoundingClientRect().top - box.getBoundingClientRect().top + box.scrollTop;
  const bottom = box.scrollHeight - box.clientHeight;
  box.scrollTop = Math.max(box.scrollTop, Math.min(bottom, top - 16));
}

/** Show the end of the conversation. */
export function scrollDown() {
  $("conversation").scrollTop = $("conversation").scrollHeight;
}
