// How sure an answer is and why, the sentence that carries it, and those behind its marks.

import { el } from "./dom.js";
import { language, t } from "./i18n.js";
import { showCitation } from "./viewer.js";

const SENTENCE = /[^\n。！？；!?.]+(?:\.(?!\s)[^\n。！？；!?.]*)*[。！？；!?.]*/g;
/** Milliseconds for which a hint stays when the pointer leaves, so that it can be pointed at. */
const LINGER = 150;

/** What is shown of the confidence and the evidence of a turn; null where there is neither. */
export function trust(turn) {
  const parts = [turn.confidence && confidence(turn.confidence), evidence(turn)].filter(Boolean);
  if (!parts.length || turn.status !== "done") return null;
  const verdict = turn.confidence?.verdict;
  return el("section", { class: "trust", "data-testid": "trust", "data-verdict": verdict }, ...parts);
}

function confidence({ probability, verdict, signals }) {
  const share = Math.round(probability * 100);
  const label = el("span", { class: "verdict" }, t(verdict, { n: share }));
  const whole = t("reasonProbability", { n: share });
  const rows = [whole, ...reasons(signals)].map((reason) => el("li", {}, reason));
  const summary = el("summary", {}, label, el("span", { class: "why" }, t("why")));
  return el("details", { "data-testid": "confidence" }, summary, el("ul", { class: "reasons" }, ...rows));
}

/** Why an answer is as sure as it is, a line for each signal that there is. */
function reasons({ relevance, judgement, unmatched, supported }) {
  const said = [];
  const given = (value) => value !== null && value !== undefined;
  if (given(relevance)) said.push(t("reasonRelevance", { n: Math.round(relevance * 100) }));
  if (given(judgement)) said.push(t(judgement > 0 ? "reasonJudgedYes" : "reasonJudgedNo"));
  if (unmatched?.length) said.push(t("reasonUnmatched", { terms: unmatched.join(t("comma")) }));
  if (given(supported)) said.push(t(supported ? "reasonSupported" : "reasonUnsupported"));
  return said;
}

function evidence(turn) {
  const found = turn.evidence;
  const citation = turn.citations.find((one) => one.marker === found?.marker);
  if (!citation) return null;
  const button = el(
    "button",
    { type: "button", class: "evidence", "data-testid": "evidence", onclick: () => showCitation(narrowed(citation, found), button) },
    el("span", { class: "hidden-label" }, t("carriedBy")),
    el("q", {}, found.sentence.trim()),
    el("small", { class: "muted" }, `${citation.name} [${found.marker}]`),
  );
  return button;
}

/** A citation of one sentence of a passage. */
export function narrowed(citation, { sentence, start, end }) {
  return start === null || start === undefined ? citation : { ...citation, text: sentence, start, end };
}

/** The sentence of a passage that shares most with a claim. */
function sentenceFor(passage, claim) {
  const wanted = pairs(claim);
  let best = "";
  let most = 0;
  for (const [sentence] of passage.matchAll(SENTENCE)) {
    const held = pairs(sentence);
    const shared = [...wanted].filter((pair) => held.has(pair)).length;
    if (shared > most) [best, most] = [sentence.trim(), shared];
  }
  return best;
}

/** Neighbouring characters, or words where there are spaces between them. */
function pairs(text) {
  const plain = text.toLowerCase().normalize("NFKC").replace(/\[\d{1,3}\]/g, " ");
  const words = plain.match(/[a-z0-9]+/g) ?? [];
  const runs = plain.match(/[^\p{P}\p{S}\sa-z0-9]+/gu) ?? [];
  const grams = runs.flatMap((run) => {
    const characters = Array.from(run);
    return characters.length < 2 ? characters : characters.slice(1).map((one, n) => characters[n] + one);
  });
  return new Set([...words, ...grams]);
}

let hint = null;
let leaving = 0;

/** Show the sentence behind a mark while it is pointed at or has the focus. */
export function explain(button, citation) {
  const show = () => open(button, citation);
  const hide = () => {
    leaving = setTimeout(close, LINGER);
  };
  button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && show());
  button.addEventListener("pointerleave", hide);
  button.addEventListener("focus", () => button.matches(":focus-visible") && show());
  button.addEventListener("blur", close);
  button.addEventListener("click", close);
}

function open(button, citation) {
  close();
  const sentence = sentenceFor(citation.text, claimOf(button)) || citation.text.trim().slice(0, 120);
  hint = el("div", { id: "hint", role: "tooltip", lang: language === "zh" ? "zh-CN" : "en" }, sentence);
  hint.addEventListener("pointerenter", () => clearTimeout(leaving));
  hint.addEventListener("pointerleave", close);
  hint.append(el("small", { class: "muted" }, citation.name));
  document.body.append(hint);
  button.setAttribute("aria-describedby", "hint");
  addEventListener("keydown", onKey, true);
  document.getElementById("conversation").addEventListener("scroll", close, { once: true });
  place(button.getBoundingClientRect());
}

/** Put the hint above a mark, or below where there is no room, within the window. */
function place(mark) {
  const { width, height } = hint.getBoundingClientRect();
  const left = Math.min(Math.max(8, mark.left + mark.width / 2 - width / 2), innerWidth - width - 8);
  const above = mark.top - height - 8;
  hint.style.left = `${left}px`;
  hint.style.top = `${above >= 8 ? above : mark.bottom + 8}px`;
}

function close() {
  clearTimeout(leaving);
  hint?.remove();
  hint = null;
  document.querySelector('[aria-describedby="hint"]')?.removeAttribute("aria-describedby");
  removeEventListener("keydown", onKey, true);
}

function onKey(event) {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  close();
}

/** What is said before a mark: from the mark or sentence before it. */
function claimOf(button) {
  const block = button.closest("p, li, td, th") ?? button.parentElement;
  const range = document.createRange();
  range.setStart(block, 0);
  range.setEndBefore(button);
  const before = range.toString().replace(/[。！？；!?.\s\d]+$/u, "");
  return before.split(/[。！？；!?\n]/u).at(-1);
}
