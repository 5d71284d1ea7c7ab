// Conversations, kept by the server; what it has not taken yet waits in the browser.

import { ApiError, api } from "./api.js";
import { drafts, emit, local } from "./store.js";

/** Between two tries to send what waits, in milliseconds: twice as long after each, up to the last. */
const AGAIN = [5000, 300_000];

const channel = new BroadcastChannel("rag-app.conversations");
/** What waits and finds no room in the browser. */
const unstored = {};
const waiting = () => ({ ...local.read("unsaved", {}), ...unstored });
let sending = false;
let more = false;
let again = 0;
let pause = AGAIN[0];

export const newId = () => `${Date.now().toString(36)}-${Math.random().toString(36).slice(2, 10)}`;

/** The conversation of an index that is gone on with here; another one where none is given. */
export function current(index, id = local.read(`conversation.${index}`, null) ?? newId()) {
  local.write(`conversation.${index}`, id);
  return id;
}

/** Call back when another tab changed a conversation. */
export function onChange(listener) {
  channel.addEventListener("message", ({ data }) => listener(data.index, data.conversation));
}

/**
 * The turns of a conversation, oldest first. Where the server can't tell, those that it lacks, and
 * the error.
 */
export async function load(index, conversation) {
  takeOver(index);
  let turns = [];
  let problem = null;
  try {
    turns = (await api.conversation(index, conversation)).data.map(shown);
  } catch (error) {
    problem = error;
  }
  for (const one of Object.values(waiting())) {
    if (one.index !== index || one.conversation !== conversation || !one.id) continue;
    const place = turns.findIndex((turn) => turn.id === one.id);
    if (one.turn === null) turns = turns.filter((turn) => turn.id !== one.id);
    else if (place < 0) turns.push(shown(one.turn));
    else turns[place] = shown(one.turn);
  }
  return { turns, problem };
}

const shown = ({ id, question, text, details }) => ({ notes: [], citations: [], ...details, id, question, text });

/** Keep a turn in a conversation, or take it out where it is null; false where it can't be kept. */
export function keep(index, conversation, id, turn) {
  const { id: _, question, text, ...details } = turn ?? {};
  const kept = turn && { id, question, text, details };
  return wait({ index, conversation, id, turn: kept });
}

/** Give a conversation a name. */
export const rename = (index, conversation, name) => wait({ index, conversation, name });

export async function remove(index, conversation) {
  forget((one) => one.index === index && one.conversation === conversation);
  drafts.set(index, conversation, "");
  await api.deleteConversation(index, conversation);
}

/** Forget what the browser has of an index that is gone, or is another one now. */
export function forgetIndex(index) {
  for (const key of ["chat", "saved", "conversation", "drafts"]) local.write(`${key}.${index}`, null);
  forget((one) => one.index === index);
}

function forget(belongs) {
  const stored = local.read("unsaved", {});
  for (const all of [stored, unstored]) {
    for (const [key, one] of Object.entries(all)) if (belongs(one)) delete all[key];
  }
  local.write("unsaved", Object.keys(stored).length ? stored : null);
}

const keyOf = ({ index, conversation, id }) => JSON.stringify([index, conversation, id ?? "name"]);

function wait(entry) {
  const stored = local.write("unsaved", { ...local.read("unsaved", {}), [keyOf(entry)]: entry });
  if (stored) delete unstored[keyOf(entry)];
  else unstored[keyOf(entry)] = entry;
  send();
  return stored;
}

/** Send what waits, the oldest first, one by one and in one tab at a time. */
export async function send() {
  clearTimeout(again);
  more = true;
  if (sending) return;
  sending = true;
  try {
    while (more) {
      more = false;
      await (navigator.locks ? navigator.locks.request("rag-app.conversations", sendAll) : sendAll());
    }
  } finally {
    sending = false;
  }
}

async function sendAll() {
  for (const entry of Object.values(waiting())) {
    const text = JSON.stringify(entry);
    try {
      await put(entry);
      pause = AGAIN[0];
      channel.postMessage({ index: entry.index, conversation: entry.conversation });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      const { status, message } = error;
      const refused = status >= 400 && status < 500 && ![401, 408, 429].includes(status);
      if (!refused) {
        again = setTimeout(send, pause);
        pause = Math.min(2 * pause, AGAIN[1]);
        return;
      }
      if (status !== 404) emit("unkept", message);
    }
    forget((one) => keyOf(one) === keyOf(entry) && JSON.stringify(one) === text);
    emit("conversations");
  }
}

function put({ index, conversation, id, turn, name }) {
  if (name !== undefined) return api.renameConversation(index, conversation, name);
  if (turn === null) return api.deleteTurn(index, conversation, id);
  const { question, text, details } = turn;
  return api.keepTurn(index, conversation, id, { question, text, details });
}

/** Take over what earlier versions kept in the browser alone. */
function takeOver(index) {
  const chat = local.read(`chat.${index}`, []);
  const aside = local.read(`saved.${index}`, []);
  if (!chat.length && !aside.length) return;
  const id = current(index);
  const all = [...aside.reverse().map((one) => ({ ...one, id: newId() })), { id, turns: chat }];
  let whole = true;
  for (const one of all) {
    for (const turn of one.turns) whole = keep(index, one.id, String(turn.id ?? newId()), turn) && whole;
    if (one.name && one.turns.length) rename(index, one.id, one.name.slice(0, 200));
  }
  if (!whole) return; // no room: it stays where it is until there is
  for (const key of ["chat", "saved"]) local.write(`${key}.${index}`, null);
}
