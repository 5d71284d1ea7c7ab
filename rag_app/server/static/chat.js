// The conversation: questions, streamed answers, stopping and retrying.

import { ApiError, api, streamError } from "./api.js";
import * as conversations from "./conversations.js";
import { named } from "./documents.js";
import { $, composing, confirm, line, save, textButton } from "./dom.js";
import { number, t } from "./i18n.js";
import { drafts, emit, on, settings, state } from "./store.js";
import { markdown, withoutMarks } from "./text.js";
import { scrollDown, scrollToEnd, view, viewOf } from "./turns.js";

/** Turns sent along with a question, and characters of each. */
const HISTORY = 4;
const HISTORY_CHARACTERS = 2000;

let turns = [];
/** The index and conversation of the turns shown; others may be chosen already. */
let place = null;
let conversation = null;
/** Resolved when the turns are there. */
let loaded = Promise.resolve();
let loading = false;
let running = null;

export function startChat() {
  const question = $("question");
  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  question.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || composing(event)) return;
    event.preventDefault();
    submit();
  });
  question.addEventListener("input", keepDraft);
  $("stop").addEventListener("click", stop);
  $("new-chat").addEventListener("click", newConversation);
  $("export-chat").addEventListener("click", exportChat);
  on("index", changeIndex);
  on("forget", (index) => index === state.index && stop());
  on("documents", showPlace);
  on("indexes", showPlace);
  on("rated", keep);
  on("unkept", (message) => line($("composer-error"), t("errorKeep", { message })));
  addEventListener("pagehide", stop); // else it would seem to have lost its connection
  addEventListener("visibilitychange", () => document.hidden || again());
  addEventListener("online", () => conversations.send());
  conversations.onChange((index, id) => index === place && id === conversation && again());
  conversations.send();
}

function changeIndex() {
  stop(); // and keep what there is, where it belongs
  line($("composer-error"), null);
  open(state.index, state.index === null ? null : conversations.current(state.index));
}

/** Go on with a conversation of an index. */
function open(index, id) {
  // Written before there was an index, or in a conversation that no list shows.
  const carried = place === null || (place === index && turnCount() === 0) ? $("question").value : "";
  if (carried && place !== null) drafts.set(place, conversation, "");
  [place, conversation] = [index, id];
  if (place !== null) {
    const kept = drafts.get(place, conversation);
    write(carried.startsWith(kept) ? carried : [kept, carried].filter(Boolean).join("\n"));
  }
  turns = [];
  $("messages").replaceChildren();
  loading = place !== null;
  emit("turns");
  showPlace();
  loaded = showKept();
}

/** Show the turns of the conversation as they are kept. */
async function showKept() {
  const [index, id] = [place, conversation];
  const { turns: kept, problem } = index === null ? { turns: [] } : await conversations.load(index, id);
  if (index !== place || id !== conversation || running) return;
  loading = false;
  if (problem) line($("composer-error"), problem.message);
  if (!changed(kept)) return void emit("turns");
  turns = kept.map(settled);
  emit("turns");
  $("messages").replaceChildren(...turns.map((turn) => view(turn).node));
  showPlace();
  showLast();
  scrollDown();
}

/** Whether turns differ from those shown. */
function changed(kept) {
  const plain = (all) => JSON.stringify(all.map((turn) => Object.entries(turn).sort()));
  return plain(kept.map(settled)) !== plain(JSON.parse(JSON.stringify(turns)));
}

/** Show what another tab or machine changed meanwhile. */
function again() {
  if (place !== null && !running && !loading) loaded = showKept();
}

/** A turn that was under way when the page was left was stopped there. */
function settled(turn) {
  return turn.status === "running" ? { ...turn, status: "stopped" } : turn;
}

function showPlace() {
  const ready = state.index !== null && state.documents.length > 0;
  const key = ready ? "placeholder" : "placeholderEmpty";
  $("question").placeholder = t(key, { index: state.index });
  $("composer-hint").textContent = t("hint");
  $("new-chat").hidden = $("export-chat").hidden = turns.length === 0;
}

/** Put a text into the field, and keep it. */
function write(text) {
  if ($("question").value !== text) $("question").value = text;
  keepDraft();
}

function keepDraft() {
  const question = $("question");
  if (place !== null) drafts.set(place, conversation, question.value);
  question.style.height = "auto";
  question.style.height = `${Math.min(question.scrollHeight, 200)}px`;
}

/** Put a question into the field, as the examples do. */
export function suggest(text) {
  write(text);
  $("question").focus();
}

async function submit() {
  await loaded;
  const text = $("question").value.trim();
  if (!text || running) return;
  if (state.index === null) return void line($("composer-error"), t("needIndex"));
  if (!state.documents.length) {
    return void line($("composer-error"), t("needDocuments", { index: state.index }));
  }
  line($("composer-error"), null);
  write("");
  ask(text);
}

/** Ask a question, of the documents chosen. */
function ask(question, asked = chosenDocuments()) {
  const begun = { text: "", citations: [], notes: [], answered: true, status: "running" };
  const history = messages(turns);
  const turn = { ...begun, id: conversations.newId(), question, followUp: history.length > 0, ...asked };
  const shown = view(turn);
  turns.push(turn);
  $("messages").append(shown.node);
  emit("turns");
  run(turn, shown, history);
}

function retry() {
  if (running) return;
  const old = turns.at(-1);
  if (!old) return;
  turns.pop();
  conversations.keep(place, conversation, old.id, null);
  $("messages").lastElementChild.remove();
  ask(old.question, { documents: old.documents, within: old.within });
  $("stop").focus();
}

/** Which documents alone are asked, as a turn has it. */
function chosenDocuments() {
  if (!state.chosen.size) return {};
  const chosen = state.documents.filter(({ id }) => state.chosen.has(id));
  return { documents: chosen.map(({ id }) => id), within: named(chosen.map(({ name }) => name)) };
}

/** How answers are to be written, as the settings have it. */
function style({ style: form, language: spoken }) {
  const wishes = [form && t(`wish_${form}`), spoken && t(`wish_${spoken}`)].filter(Boolean);
  return wishes.length ? [{ role: "system", content: wishes.join("\n") }] : [];
}

function messages(earlier) {
  const clip = (text) => Array.from(text).slice(0, HISTORY_CHARACTERS).join("");
  return earlier
    .filter((turn) => turn.text && turn.status !== "failed")
    .slice(-HISTORY)
    .flatMap((turn) => [
      { role: "user", content: clip(turn.question) },
      { role: "assistant", content: clip(withoutMarks(turn.text)) },
    ]);
}

async function run(turn, shown, history) {
  const mine = new AbortController();
  running = { turn, abort: mine };
  const { k, chain, temperature, threshold } = settings.given();
  showRunning(true);
  $("status").textContent = t("searching");
  scrollDown();
  keep(turn);
  try {
    const body = {
      model: `rag:${state.index}`,
      messages: [...style(settings.all()), ...history, { role: "user", content: turn.question }],
      stream: true,
      marks: true,
      k,
      chain,
      temperature,
      threshold,
      documents: turn.documents,
    };
    let finished = false;
    for await (const chunk of api.chat(body, mine.signal)) {
      if (mine.signal.aborted) break;
      if (chunk.error) throw streamError(chunk.error);
      finished = take(turn, chunk) || finished;
      shown.later();
    }
    if (!finished && !mine.signal.aborted) throw new ApiError(t("errorBroken"));
    turn.status = "done";
  } catch (error) {
    if (error.name === "AbortError") turn.status = "stopped";
    else fail(turn, error);
  }
  if (mine.signal.aborted) turn.status = "stopped";
  if (running?.abort !== mine) return; // The index was changed meanwhile.
  end(turn, shown);
}

function fail(turn, error) {
  turn.status = "failed";
  turn.error = error.message;
  if (!(error instanceof ApiError)) console.error(error);
}

/** Add a chunk to a turn; returns whether it is the last one. */
function take(turn, chunk) {
  const rag = chunk.rag ?? {};
  const choice = chunk.choices?.[0];
  if (rag.citations?.length) {
    const known = new Set(turn.citations.map((one) => one.marker));
    turn.citations.push(...rag.citations.filter((one) => !known.has(one.marker)));
  }
  if (rag.notes?.length) turn.notes.push(...rag.notes);
  if (rag.answered === false) turn.answered = false;
  if (rag.confidence) turn.confidence = rag.confidence;
  if (rag.evidence) turn.evidence = rag.evidence;
  if (rag.likely) turn.likely = rag.likely;
  if (rag.nearest?.length) turn.nearest = rag.nearest;
  if (rag.replace) turn.text = "";
  const delta = choice?.delta?.content ?? "";
  if (delta && !turn.text) $("status").textContent = t("writing");
  turn.text += turn.text ? delta : delta.trimStart();
  return Boolean(choice?.finish_reason);
}

function end(turn, shown) {
  running = null;
  const focused = document.activeElement === $("stop");
  showRunning(false);
  const pinned = shown.update();
  showLast();
  if (pinned) scrollToEnd(shown.node);
  keep(turn);
  $("status").textContent = ending(turn);
  if (focused) $("question").focus();
}

function ending(turn) {
  if (turn.status === "failed") return turn.error;
  if (turn.status === "stopped") return t("answerStopped");
  if (!turn.answered) return t("answerNotFound");
  return t("answerDone", { n: number(turn.citations.length) });
}

function stop() {
  if (!running) return;
  const { turn, abort } = running;
  abort.abort();
  turn.status = "stopped";
  const shown = viewOf(turn);
  if (shown) end(turn, shown);
}

function showRunning(busy) {
  $("send").hidden = busy;
  $("stop").hidden = !busy;
  $("messages").setAttribute("aria-busy", String(busy));
  $("new-chat").hidden = $("export-chat").hidden = busy || turns.length === 0;
  if (busy) showLast();
}

function keep(turn) {
  if (place === null || !turns.includes(turn)) return;
  if (!conversations.keep(place, conversation, turn.id, turn)) line($("composer-error"), t("errorStorage"));
}

/** Save the whole conversation as Markdown, each answer with its sources. */
function exportChat() {
  const answers = turns.filter((turn) => turn.text);
  const parts = answers.map((turn) => markdown(turn.question, turn.text, turn.citations, turn.answered));
  save(place, parts.join("\n"));
}

async function newConversation() {
  const sure = await confirm({
    title: t("confirmChat"),
    body: t("confirmChatBody", { index: state.index }),
    action: t("confirmChatYes"),
  });
  if (!sure) return;
  stop();
  openConversation(conversations.newId());
  $("question").focus();
}

/** Go on with another conversation of the index; this one stays in the history. */
export function openConversation(id) {
  stop();
  $("viewer").close();
  open(place, conversations.current(place, id));
}

/** The conversation that is shown. */
export const shownConversation = () => conversation;

/** How many turns there are; null until that is known. */
export const turnCount = () => (loading ? null : turns.length);

/** The last turn, and only that, can be answered again. */
function showLast() {
  $("retry")?.remove();
  if (running || !turns.length) return;
  const button = textButton("retry", t("retry"), retry);
  button.id = "retry";
  $("messages").lastElementChild?.querySelector(".retry-place")?.append(button);
}
