// What a person thinks of an answer, kept by the server as a question for `rag-app eval`.

import { ApiError, api } from "./api.js";
import { $, el, iconButton, line, save } from "./dom.js";
import { t } from "./i18n.js";
import { emit, state } from "./store.js";
import { withoutMarks } from "./text.js";

/** Thumbs for an answer, and below them what it should have been; nothing before it is whole. */
export function rating(turn) {
  if (turn.status !== "done" || !turn.text) return [];
  const thumbs = el("span", { class: "thumbs", role: "group", "aria-label": t("rateAnswer") });
  const more = el("div", { class: "rating", "data-testid": "rating", hidden: true });
  const show = (opened = false) => {
    for (const button of thumbs.children) {
      button.setAttribute("aria-pressed", String(turn.rating?.helpful === (button.dataset.testid === "good")));
    }
    more.hidden = !turn.rating;
    more.replaceChildren(...(turn.rating ? details(turn, opened) : []));
  };
  thumbs.append(thumb(turn, true, more, show), thumb(turn, false, more, show));
  show();
  return [thumbs, more];
}

function thumb(turn, helpful, more, show) {
  const [name, label] = helpful ? ["good", t("rateGood")] : ["bad", t("rateBad")];
  return iconButton(name, name, label, async () => {
    const taken = turn.rating?.helpful === helpful;
    if (!(await kept(turn, taken ? null : { helpful, answerable: !helpful || turn.answered }, more))) return;
    show(!helpful);
    $("status").textContent = t(taken ? "rateTakenBack" : "rateKept");
  });
}

/** Save a rating, or take it back if it is null; resolves to whether that worked. */
async function kept(turn, rating, more) {
  const index = state.index;
  try {
    if (rating) await api.rate(index, turn.id, body(turn, rating));
    else await api.takeBackRating(index, turn.id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    more.hidden = false;
    more.replaceChildren(el("p", { class: "error", role: "alert" }, error.message));
    return false;
  }
  if (rating) turn.rating = rating;
  else delete turn.rating;
  emit("rated", turn);
  return true;
}

function body(turn, { helpful, answerable, right = "", question }) {
  const marker = turn.evidence?.marker ?? Number(/\[(\d{1,3})\]/.exec(turn.text)?.[1]);
  const document = turn.citations.find((one) => one.marker === marker)?.name;
  return {
    question: question || turn.question,
    answer: withoutMarks(turn.text),
    helpful,
    right_answer: right,
    answerable,
    document,
    follow_up: Boolean(turn.followUp) && !question,
  };
}

/** A form for more than a thumb, open where an answer was wrong. */
function details(turn, opened) {
  const { helpful } = turn.rating;
  const thanks = el("p", { class: "muted" }, t(helpful ? "rateKept" : "rateKeptBad"));
  if (helpful && !turn.followUp) return [thanks];
  const right = el("textarea", { id: `right-${turn.id}`, rows: 2, "data-testid": "right-answer" });
  right.value = turn.rating.right ?? "";
  const onchange = () => (right.disabled = none.checked);
  const none = el("input", { type: "checkbox", "data-testid": "no-answer", onchange });
  none.checked = !helpful && !turn.rating.answerable;
  right.disabled = none.checked;
  const question = el("input", { type: "text", id: `alone-${turn.id}`, "data-testid": "question-alone", maxlength: 1000 });
  question.value = turn.rating.question ?? "";
  const problem = el("p", { class: "error", role: "alert", hidden: true });
  const form = el("form", {},
    ...(helpful ? [] : [
      el("label", { for: right.id }, t("rateRight")), right,
      el("label", { class: "check" }, none, t("rateNoAnswer")),
    ]),
    ...(turn.followUp ? [el("label", { for: question.id }, t("rateAlone")), question] : []),
    problem,
    el("div", { class: "row" }, el("button", { type: "submit", "data-testid": "save-rating" }, t("save"))));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const said = { right: none.checked ? "" : right.value.trim(), question: question.value.trim() };
    const answerable = helpful ? turn.rating.answerable : !none.checked;
    if (!(await kept(turn, { helpful, answerable, ...said }, problem))) return;
    thanks.textContent = t("rateKept");
    $("status").textContent = t("rateKept");
    box.open = false;
    box.firstElementChild.focus();
  });
  const box = el("details", { open: opened }, el("summary", {}, t("rateMore")), form);
  return [thanks, box];
}

/** Save the questions whose answers were rated, for `rag-app eval`. */
export async function exportRatings() {
  line($("rated-note"), null);
  try {
    const text = await api.ratedQuestions(state.index);
    if (text) save("questions", text, "jsonl");
    else line($("rated-note"), t("rateNone"));
  } catch (error) {
    line($("rated-note"), error.message);
  }
}
