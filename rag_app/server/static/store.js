// What the browser keeps between visits, and what the parts of the page share.

const PREFIX = "rag-app.";

function read(key, fallback) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(PREFIX + key);
    else localStorage.setItem(PREFIX + key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** What other parts keep in the browser; `write` is false where there is no room. */
export const local = { read, write };

export const settings = {
  all: () => ({ ...state.defaults, ...read("settings", {}) }),
  /** Only what was changed: the server has its own defaults for the rest. */
  given: () => read("settings", {}),
  set: (changes) => write("settings", { ...settings.given(), ...changes }),
  reset: () => write("settings", null),
};

export const chosen = {
  get: () => read("index", null),
  set: (name) => write("index", name),
};

/** Uploads that the server was still reading: a list of {id, index, names}. */
export const jobs = {
  all: () => read("jobs", []),
  add: (job) => write("jobs", [...jobs.all(), job]),
  remove: (id) => write("jobs", jobs.all().filter((job) => job.id !== id)),
};

/** The last summary of each document of an index. */
export const summaries = {
  get: (index, id) => read(`summaries.${index}`, {})[id] ?? null,
  set: (index, id, summary) =>
    write(`summaries.${index}`, { ...read(`summaries.${index}`, {}), [id]: summary }),
  remove(index, id) {
    const kept = read(`summaries.${index}`, {});
    delete kept[id];
    write(`summaries.${index}`, kept);
  },
  clear: (index) => write(`summaries.${index}`, null),
};

/** Half-written questions of the conversations of an index. */
export const drafts = {
  get: (index, id) => read(`drafts.${index}`, {})[id] ?? "",
  set(index, id, text) {
    const kept = { ...read(`drafts.${index}`, {}), [id]: text };
    if (!text) delete kept[id];
    write(`drafts.${index}`, Object.keys(kept).length ? kept : null);
  },
};

/** What the parts of the page share; listen with `on(name, listener)`. */
export const state = {
  index: null,
  indexes: [],
  documents: [],
  /** Ids of the documents to ask; none means all. */
  chosen: new Set(),
  defaults: {},
  formats: [],
  limits: { files: Infinity, fileBytes: Infinity, uploadBytes: Infinity },
};

/** Take over the server's defaults, and what may be uploaded. */
export function takeServer(server) {
  state.defaults = {
    k: server.k,
    chain: server.answer_chain,
    temperature: server.temperature,
    threshold: server.threshold,
    style: "",
    language: "",
    length: server.summary_length,
    summaryChain: server.summary_chain,
  };
  state.formats = server.formats;
  state.limits = {
    files: server.max_files,
    fileBytes: server.max_file_bytes,
    uploadBytes: server.max_upload_bytes,
  };
  emit("server");
}

const events = new EventTarget();

export function on(name, listener) {
  events.addEventListener(name, (event) => listener(event.detail));
}

export function emit(name, detail) {
  events.dispatchEvent(new CustomEvent(name, { detail }));
}
