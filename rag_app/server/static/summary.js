// Summarizing one document in the side panel.

import { ApiError, api, streamError } from "./api.js";
import { $, copyFrom, el, line, save } from "./dom.js";
import { number, t, translateNote } from "./i18n.js";
import { renderMarkdown } from "./markdown.js";
import { openPanel } from "./panels.js";
import { on, settings, state, summaries } from "./store.js";
import { markdown, placeOf } from "./text.js";
import { citationButton } from "./viewer.js";

let shown = null;
let running = null;

export function startSummary() {
  $("summary-form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!running) start();
  });
  $("summary-form").addEventListener("change", () => {
    settings.set({ summaryChain: chosenChain() });
  });
  $("summary-stop").addEventListener("click", () => running?.abort());
  $("summary").addEventListener("close", () => running?.abort());
  $("summary-download").addEventListener("click", () => save(title(), asMarkdown()));
  $("summary-copy").addEventListener("click", () =>
    copyFrom($("summary-copy"), asMarkdown(), $("summary-status")),
  );
  on("index", () => $("summary").close());
}

const chosenChain = () => new FormData($("summary-form")).get("chain");
const title = () => `${shown.document.name} ${t("fileSummary")}`;
const asMarkdown = () =>
  `${markdown(title(), shown.text)}\n---\n${t("sources")}: ${shown.document.name}\n`;

/** Open the panel for a document, with its last summary if there is one. */
export function openSummary(one, opener) {
  running?.abort();
  const kept = summaries.get(state.index, one.id);
  shown = { index: state.index, document: one, text: "", notes: [], sentences: [], citations: [], ...kept };
  const { summaryChain, length } = settings.all();
  for (const radio of $("summary-form").elements.chain) {
    radio.checked = radio.value === (kept?.chain ?? summaryChain);
  }
  $("summary-title").textContent = one.name;
  $("summary-length").textContent = t("summaryLength", { n: number(length) });
  line($("summary-error"), null);
  showText();
  showRunning(false);
  openPanel($("summary"), opener);
  $("summary-start").focus();
}

async function start() {
  const mine = new AbortController();
  running = mine;
  const target = shown;
  const { length, temperature } = settings.given();
  const chain = chosenChain();
  const none = { text: "", notes: [], sentences: [], citations: [] };
  Object.assign(target, { ...none, chain, step: 0, steps: 0 });
  line($("summary-error"), null);
  showRunning(true);
  showText();
  let error = null;
  try {
    const body = { chain, length, temperature, stream: true };
    const events = api.summary(target.index, target.document.id, body, mine.signal);
    for await (const piece of events) {
      if (mine.signal.aborted) break;
      if (piece.error) throw streamError(piece.error);
      take(target, piece);
      requestAnimationFrame(() => target === shown && showText());
    }
  } catch (caught) {
    if (caught.name !== "AbortError") error = caught;
  }
  if (error && !(error instanceof ApiError)) console.error(error);
  end(mine, target, error);
}

function take(target, piece) {
  if (piece.replace) target.text = "";
  const delta = piece.delta ?? "";
  target.text += target.text ? delta : delta.trimStart();
  target.step = piece.step ?? target.step;
  target.steps = piece.steps || target.steps;
  if (piece.notes?.length) target.notes.push(...piece.notes);
  if (piece.sentences) Object.assign(target, { sentences: piece.sentences, citations: piece.citations });
}

function end(mine, target, error) {
  const { text, notes, sentences, citations, chain } = target;
  const kept = { text, notes, sentences, citations, chain };
  if (text) summaries.set(target.index, target.document.id, kept);
  if (running === mine) running = null;
  if (target !== shown || running) return;
  const focused = document.activeElement === $("summary-stop");
  showText();
  showRunning(false);
  if (focused) $("summary-start").focus();
  line($("summary-error"), error?.message);
  const stopped = text ? "summaryStopped" : "summaryStoppedEmpty";
  const said = mine.signal.aborted ? stopped : "summaryDone";
  $("summary-status").textContent = error ? error.message : t(said);
}

function showText() {
  const { text, notes } = shown;
  const empty = !text && !running;
  $("summary-text").classList.toggle("empty", empty);
  renderMarkdown($("summary-text"), empty ? t("summaryEmpty") : text);
  $("summary-notes").replaceChildren(...notes.map((note) => el("li", {}, translateNote(note))));
  $("summary-where").replaceChildren(...places());
  $("summary-actions").hidden = !text || Boolean(running);
  if (running) showProgress();
}

/** Each sentence with the passages that it stands in, once the summary is whole. */
function places() {
  const { sentences, citations } = shown;
  if (!sentences.length) return [];
  const rows = sentences.map(({ text, markers, lacking }) => {
    const found = citations.filter((one) => markers.includes(one.marker));
    const flag = lacking.length
      ? t("sentenceLacking", { facts: lacking.join(t("comma")) })
      : t("sentenceFlagged");
    const behind = found.length ? found.map((one) => citationButton(one, { title: placeOf(one) })) : [el("small", { class: "flag" }, flag)];
    return el("li", { "data-testid": "summary-sentence" }, text, " ", ...behind);
  });
  return [el("h3", {}, t("whereItStands")), el("ol", { class: "notes" }, ...rows)];
}

function showRunning(busy) {
  const panel = $("summary");
  panel.dataset.status = busy ? "running" : "idle";
  const focused = document.activeElement === $("summary-start");
  $("summary-start").hidden = busy;
  $("summary-start").textContent = t(shown.text ? "summarizeAgain" : "summarize");
  $("summary-stop").hidden = !busy;
  $("summary-form").querySelector("fieldset").disabled = busy;
  $("summary-progress").hidden = !busy;
  if (busy && focused) $("summary-stop").focus();
  if (busy) showProgress();
}

function showProgress() {
  const [bar, label] = $("summary-progress").children;
  const { step, steps } = shown;
  const said = steps > 1 ? t("stepOf", { step: number(step), steps: number(steps) }) : t("reading");
  if (steps > 1) bar.value = Math.max(0, step - 0.5) / steps;
  else bar.removeAttribute("value");
  if (label.textContent === said) return;
  label.textContent = said;
  $("summary-status").textContent = said;
}
