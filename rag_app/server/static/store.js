// What the browser keeps between visits, and what the parts of the page share.

const PREFIX = "rag-app.";
const TURNS = 100;

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

export const conversations = {
  /** The turns of an index, oldest first, those of other tabs too. */
  get: (index) => read(`chat.${index}`, []).map((turn, n) => ({ id: `${n}`, ...turn })),
  /**
   * Keep the turns of this tab beside those of others, fewer where the browser has no room; false
   * if some were lost.
   */
  merge(index, own, removed) {
    const mine = new Map(own.map((turn) => [turn.id, turn]));
    const others = conversations.get(index).filter((turn) => !removed.has(turn.id));
    const known = new Set(others.map((turn) => turn.id));
    const turns = others.map((turn) => mine.get(turn.id) ?? turn);
    turns.push(...own.filter((turn) => !known.has(turn.id)));
    return conversations.set(index, turns);
  },
  set(index, turns) {
    if (!turns.length) return write(`chat.${index}`, null);
    for (let keep = TURNS; keep >= 1; keep = Math.floor(keep / 2)) {
      if (write(`chat.${index}`, turns.slice(-keep))) return keep === TURNS;
    }
    return false;
  },
  remove: (index) => write(`chat.${index}`, null),
  /** Call back when another tab changed the turns of an index. */
  onChange(listener) {
    addEventListener("storage", ({ key }) => {
      if (key?.startsWith(`${PREFIX}chat.`)) listener(key.slice(`${PREFIX}chat.`.length));
    });
  },
};

/** Conversations of an index that were put aside, newest first: a list of {id, name, turns}. */
export const saved = {
  all: (index) => read(`saved.${index}`, []),
  /** Put the turns of a conversation aside; false where the browser has no room. */
  add(index, turns) {
    const one = { id: `${Date.now()}-${Math.random()}`, name: turns[0].question, turns };
    return saved.set(index, [one, ...saved.all(index)]);
  },
  rename: (index, id, name) =>
    saved.set(index, saved.all(index).map((one) => (one.id === id ? { ...one, name } : one))),
  remove: (index, id) => saved.set(index, saved.all(index).filter((one) => one.id !== id)),
  set(index, all) {
    const kept = write(`saved.${index}`, all.length ? all : null);
    emit("saved");
    return kept;
  },
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

/** What the parts of the page share; listen with `on(name, listener)`. */
export const state = {
  index: null,
  indexes: [],
  documents: [],
  defaults: {},
  formats: [],
  limits: { files: Infinity, fileBytes: Infinity, uploadBytes: Infinity },
};

/** Take over what the server does by default, and what may be uploaded. */
export function takeServer(server) {
  state.defaults = {
    k: server.k,
    chain: server.answer_chain,
    temperature: server.temperature,
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
