// The server's API: requests, event streams, uploads, and errors in words for people.

import { t, translateNote } from "./i18n.js";

const KEY = "rag-app.key";

/** An error of a request; `message` is one line that says what to do. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

let askForKey = async () => null;
let asking = null;
/** Whether no key was given, and nothing done since that may need one. */
let declined = false;
addEventListener("click", () => (declined = false), true);
addEventListener("keydown", ({ key }) => key === "Enter" && (declined = false), true);

/** Say how a key is asked for: a function to a promise of the key, null if there is none. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

function headers(extra = {}) {
  const key = sessionStorage.getItem(KEY);
  return key ? { ...extra, Authorization: `Bearer ${key}` } : extra;
}

/** Ask for a key once for all requests that need one; resolves to whether there is one to try. */
async function newKey(tried) {
  if (sessionStorage.getItem(KEY) !== tried) return true;
  if (declined) return false;
  asking ??= askForKey(tried !== null).finally(() => {
    asking = null;
  });
  const key = await asking;
  declined = !key;
  if (declined) return false;
  sessionStorage.setItem(KEY, key);
  return true;
}

/** The line to show for an error of the server. */
function explain(status, error, retryAfter = null) {
  const text = translateNote((error.message || `HTTP ${status}`).replace(/[.。]$/, ""));
  if (status === 401) return t("errorKey");
  if (status === 404) return t("errorMissing", { message: text });
  if (status === 413) return t("errorLarge", { message: text });
  if (status === 429) {
    const seconds = Number.parseInt(retryAfter, 10);
    return seconds > 0 ? t("errorBusyAfter", { n: seconds }) : t("errorBusy");
  }
  if (error.code === "model_loading") return t("errorLoading");
  if (status >= 500) return t("errorServer", { message: text });
  return t("errorRequest", { message: text });
}

/** The error object in a body; empty where a proxy answered instead of the server. */
function errorIn(body) {
  try {
    return JSON.parse(body).error ?? {};
  } catch {
    return {};
  }
}

const STATUS = {
  invalid_request_error: 400,
  authentication_error: 401,
  not_found_error: 404,
  rate_limit_error: 429,
};

/** The error that an event of a stream holds. */
export function streamError(error) {
  const status = STATUS[error.type] ?? 500;
  return new ApiError(explain(status, error), status);
}

async function send(method, path, body, signal) {
  for (;;) {
    const tried = sessionStorage.getItem(KEY);
    let response;
    try {
      response = await fetch(path, {
        method,
        headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        cache: "no-store",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError(t("errorNetwork"));
    }
    if (response.ok) return response;
    if (response.status === 401 && (await newKey(tried))) continue;
    const text = await response.text().catch(() => "");
    throw new ApiError(
      explain(response.status, errorIn(text), response.headers.get("Retry-After")),
      response.status,
    );
  }
}

async function json(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("errorNetwork"));
  }
}

/** The events of a stream, parsed, up to `[DONE]`. Leaving the loop ends the request. */
export async function* stream(method, path, body, signal) {
  const response = await send(method, path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      const events = (rest + (value ?? "")).replaceAll("\r\n", "\n").split("\n\n");
      rest = done ? "" : events.pop();
      for (const event of events) {
        const data = dataOf(event);
        if (data === "[DONE]") return;
        if (data) yield JSON.parse(data);
      }
      if (done) return;
    }
  } catch (error) {
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError(t("errorBroken"));
  } finally {
    reader.cancel().catch(() => {});
  }
}

function dataOf(event) {
  return event
    .split("\n")
    .filter((part) => part.startsWith("data:"))
    .map((part) => part.slice(5).replace(/^ /, ""))
    .join("\n");
}

/** The server's health, also when it answers that it cannot work. */
async function health() {
  try {
    const response = await fetch("health", { cache: "no-store" });
    const body = await response.json();
    return { status: body.status, error: typeof body.error === "string" ? body.error : "" };
  } catch {
    return { status: "offline", error: "" };
  }
}

const at = (index, ...rest) => ["v1/indexes", index, ...rest].map(encode).join("/");
const encode = (part, number) => (number === 0 ? part : encodeURIComponent(part));

export const api = {
  health,
  settings: () => json("GET", "v1/settings"),
  indexes: () => json("GET", "v1/indexes"),
  createIndex: (name) => json("POST", "v1/indexes", { name }),
  deleteIndex: (name) => json("DELETE", at(name)),
  documents: (index) => json("GET", at(index, "documents")),
  suggestions: (index) => json("GET", at(index, "suggestions")),
  removeDocument: (index, id) => json("DELETE", at(index, "documents", id)),
  text: (index, id, signal) => json("GET", at(index, "documents", id, "text"), undefined, signal),
  pages: (index, id, place, signal) => {
    const range = place ? `?start=${place.start}&end=${place.end}` : "";
    return json("GET", `${at(index, "documents", id, "pages")}${range}`, undefined, signal);
  },
  pageImage: async (index, id, number, signal) => {
    const path = at(index, "documents", id, "pages", `${number}.png`);
    return (await send("GET", path, undefined, signal)).blob();
  },
  conversations: (index, search) =>
    json("GET", `${at(index, "conversations")}?search=${encodeURIComponent(search)}`),
  conversation: (index, id) => json("GET", at(index, "conversations", id)),
  renameConversation: (index, id, name) => json("PATCH", at(index, "conversations", id), { name }),
  deleteConversation: (index, id) => json("DELETE", at(index, "conversations", id)),
  keepTurn: (index, id, turn, body) => json("PUT", at(index, "conversations", id, "turns", turn), body),
  deleteTurn: (index, id, turn) => json("DELETE", at(index, "conversations", id, "turns", turn)),
  rate: (index, turn, body) => json("PUT", at(index, "ratings", turn), body),
  takeBackRating: (index, turn) => json("DELETE", at(index, "ratings", turn)),
  ratedQuestions: async (index) => (await send("GET", at(index, "ratings", "questions.jsonl"))).text(),
  job: (id) => json("GET", `v1/jobs/${encodeURIComponent(id)}`),
  cancelJob: (id) => json("DELETE", `v1/jobs/${encodeURIComponent(id)}`),
  jobEvents: (id) => stream("GET", `v1/jobs/${encodeURIComponent(id)}/events`),
  chat: (body, signal) => stream("POST", "v1/chat/completions", body, signal),
  summary: (index, id, body, signal) =>
    stream("POST", at(index, "documents", id, "summary"), body, signal),
};

/** Upload files; `progress` is called with 0 to 1. Resolves to the job that reads them. */
export async function upload(index, files, progress, signal) {
  for (;;) {
    const tried = sessionStorage.getItem(KEY);
    const { status, body, retryAfter } = await uploadOnce(index, files, progress, signal);
    if (status >= 200 && status < 300) return JSON.parse(body);
    if (status === 401 && (await newKey(tried))) continue;
    throw new ApiError(explain(status, errorIn(body), retryAfter), status);
  }
}

function uploadOnce(index, files, progress, signal) {
  const form = new FormData();
  for (const file of files) form.append("files", file, file.path ?? file.name);
  const request = new XMLHttpRequest();
  return new Promise((resolve, reject) => {
    request.open("POST", at(index, "documents"));
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () =>
      resolve({
        status: request.status,
        body: request.responseText,
        retryAfter: request.getResponseHeader("Retry-After"),
      }),
    );
    request.addEventListener("error", () => reject(new ApiError(t("errorNetwork"))));
    request.addEventListener("abort", () =>
      reject(new DOMException("the upload was cancelled", "AbortError")),
    );
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}
