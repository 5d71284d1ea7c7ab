// Uploading files and following the jobs in which the server reads them.

import { ApiError, api, upload } from "./api.js";
import { $, el, icon, line } from "./dom.js";
import { bytes, duration, number, t, translateNote } from "./i18n.js";
import { createIndex } from "./indexes.js";
import { libraryError, showLibrary } from "./panels.js";
import { emit, jobs, on, state } from "./store.js";

const RETRY_MS = 1500;
/** How long a job must run before its speed is believed. */
const KNOWN_MS = 2000;
/** Suffixes under the name that people know their programs by, or a key of i18n.js. */
const FORMATS = {
  PDF: ["pdf"],
  Word: ["doc", "docm", "docx", "dotx", "fodt", "odt", "rtf", "wps", "wpt"],
  Excel: ["csv", "et", "ett", "fods", "ods", "tsv", "xls", "xlsm", "xlsx", "xltx"],
  PowerPoint: ["dps", "dpt", "fodp", "odp", "potx", "ppsx", "ppt", "pptm", "pptx"],
  formatText: [
    "adoc", "asciidoc", "markdown", "md", "mdx", "mediawiki", "org", "qmd", "rmd", "rst", "text", "textile",
    "txt", "typ", "wiki",
  ],
  formatWeb: ["htm", "html", "mht", "mhtml", "xhtml"],
  formatMail: ["eml", "ics", "mbox", "msg", "vcf"],
  formatImages: ["bmp", "jpeg", "jpg", "png", "tif", "tiff", "webp"],
  EPUB: ["epub"],
  FictionBook: ["fb2"],
  XMind: ["xmind"],
  Evernote: ["enex"],
  formatSubtitles: ["ass", "lrc", "sbv", "srt", "ssa", "vtt"],
  LaTeX: ["tex"],
  Jupyter: ["ipynb"],
};
/** Files that a message names. */
const NAMED = 3;

/** How many uploads are under way, which leaving the page would end. */
let sending = 0;

export function startUploads() {
  const input = $("file-input");
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    add(files);
  });
  on("server", accept);
  on("index", () => {
    for (const card of $("jobs").children) card.hidden = card.dataset.index !== state.index;
    line($("library-error"), null);
  });
  startDrops();
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
  for (const job of jobs.all()) follow(job, cardOf(job.index));
}

function accept() {
  $("file-input").accept = state.formats.join(",");
  $("drop-hint").textContent = t("dropHint", { formats: formatNames() });
  $("drop-hint").title = state.formats.join(" ");
}

/** The formats that the server reads, as people name them. */
export function formatNames() {
  const suffixes = state.formats.map((one) => one.slice(1));
  const read = (some) => some.some((suffix) => suffixes.includes(suffix));
  const names = Object.keys(FORMATS).filter((name) => read(FORMATS[name]));
  const others = suffixes.filter((suffix) => !Object.values(FORMATS).flat().includes(suffix));
  const shown = names.map((name) => (name.startsWith("format") ? t(name) : name));
  return [...shown, ...others].join(t("comma"));
}

function startDrops() {
  const cover = $("drop-cover");
  let depth = 0;
  const files = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const show = (over) => {
    cover.hidden = !over;
    const key = state.index ? "dropHere" : "dropHereNew";
    cover.firstElementChild.textContent = t(key, { index: state.index });
  };
  addEventListener("dragenter", (event) => {
    if (!files(event) || document.querySelector(".modal:modal")) return;
    depth += 1;
    show(true);
  });
  addEventListener("dragleave", (event) => {
    if (files(event) && (depth -= 1) <= 0) {
      depth = 0;
      show(false);
    }
  });
  addEventListener("dragover", (event) => {
    if (files(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    depth = 0;
    show(false);
    if (document.querySelector(".modal:modal")) return;
    // Read before anything is waited for: what was dropped is gone after the event.
    const dropped = [...event.dataTransfer.files];
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
    const folders = entries.some((entry) => entry?.isDirectory);
    if (!folders) return void add(dropped);
    const unreadable = () => libraryError(t("unreadableFolder"));
    filesOf(entries.filter(Boolean)).then(add, unreadable);
  });
}

/** The files among dropped entries and in their folders, hidden ones left out. */
async function filesOf(entries, folder = "") {
  const found = [];
  for (const entry of entries) {
    if (folder && entry.name.startsWith(".")) continue;
    if (entry.isDirectory) {
      found.push(...(await filesOf(await childrenOf(entry), `${folder}${entry.name}/`)));
    } else {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push(Object.assign(file, { path: folder + file.name }));
    }
  }
  return found;
}

async function childrenOf(entry) {
  const reader = entry.createReader();
  const children = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return children;
    children.push(...some);
  }
}

/** Check the files and upload those that can be read; asks for an index where there is none. */
async function add(files) {
  line($("library-error"), null);
  const readable = checked(files);
  if (!readable.length) return;
  if (!state.index && !(await createIndex())) return;
  const index = state.index;
  const names = namesOf(readable);
  const card = cardOf(index);
  const cancel = new AbortController();
  card.cancel(() => cancel.abort());
  showLibrary();
  sending += 1;
  card.show(t("uploading", { names, n: 0 }), 0);
  try {
    const job = await upload(
      index,
      readable,
      (share) => card.show(t("uploading", { names, n: Math.round(share * 100) }), share),
      cancel.signal,
    ).finally(() => (sending -= 1));
    card.cancel(null);
    const kept = { id: job.id, index, names };
    jobs.add(kept);
    await follow(kept, card, job);
  } catch (error) {
    if (error.name !== "AbortError" && !(error instanceof ApiError)) throw error;
    card.end(error.name === "AbortError" ? t("uploadCancelled") : error.message, true);
  }
}

function checked(files) {
  const suffix = (file) => file.name.slice(file.name.lastIndexOf(".")).toLowerCase();
  const bad = files.filter((file) => state.formats.length && !state.formats.includes(suffix(file)));
  const large = files.filter((file) => file.size > state.limits.fileBytes);
  const empty = files.filter((file) => file.size === 0);
  const said = [];
  if (bad.length) said.push(t("badFormat", { names: listed(bad), formats: formatNames() }));
  if (large.length) {
    said.push(t("tooLarge", { names: listed(large), size: bytes(state.limits.fileBytes) }));
  }
  if (empty.length) said.push(t("emptyFiles", { names: listed(empty) }));
  const readable = files.filter((file) => ![...bad, ...large, ...empty].includes(file));
  const size = readable.reduce((sum, file) => sum + file.size, 0);
  const together = readable.length <= state.limits.files && size <= state.limits.uploadBytes;
  if (!together) {
    const most = { n: number(state.limits.files), size: bytes(state.limits.uploadBytes) };
    said.push(t("tooMuch", most));
  }
  libraryError(said.join("\n"));
  return together ? readable : [];
}

const pathOf = (file) => file.path ?? file.name;

function namesOf(files) {
  return files.length === 1 ? pathOf(files[0]) : t("files", { n: number(files.length) });
}

/** The names of the first files, and how many there are where there are more. */
function listed(files) {
  const names = files.slice(0, NAMED).map(pathOf).join(t("comma"));
  return files.length > NAMED ? t("filesSuchAs", { names, n: number(files.length) }) : names;
}

/** Show a job until it ends, also after the connection or the page was lost. */
async function follow({ id, index, names }, card, first = null) {
  card.cancel(() => cancelJob(id, card), t("cancelJob", { names }));
  const left = timeLeft();
  if (first) showJob(first, names, card, left);
  for (let ended = first && isOver(first); !ended; ) {
    try {
      for await (const job of api.jobEvents(id)) {
        if (job.error && !job.status) continue;
        showJob(job, names, card, left);
        ended = isOver(job);
        if (ended) break;
      }
      if (!ended) await pause();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 404) {
        jobs.remove(id);
        card.end(t("jobLost"), true);
        break;
      }
      if (error.status === 401) return card.end(error.message, true);
      card.show(error.message, null);
      await pause();
    }
  }
  jobs.remove(id);
  emit("indexed", index);
  return undefined;
}

const isOver = (job) => ["done", "failed", "cancelled"].includes(job.status);
const pause = () => new Promise((resolve) => setTimeout(resolve, RETRY_MS));

/** Cancel a job; the events of the job say what became of it. */
async function cancelJob(id, card) {
  card.cancel(null);
  try {
    await api.cancelJob(id);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.status !== 404) card.show(error.message, null);
  }
}

/** A function from a job's progress to its remaining time in words, once that can be estimated. */
function timeLeft() {
  let begun = null;
  return (share) => {
    const now = performance.now();
    if (share === null) return "";
    begun ??= { now, share };
    const done = share - begun.share;
    const seconds = ((now - begun.now) / 1000) * ((1 - share) / done);
    if (now - begun.now < KNOWN_MS || done <= 0) return "";
    return t("timeLeft", { time: duration(seconds) });
  };
}

/** How much of a job is done, 0 to 1; null if unknown. */
function shareOf(job) {
  if (job.estimate) return Math.min(job.passages / job.estimate, 1);
  return job.total ? job.documents / job.total : null;
}

function showJob(job, names, card, left) {
  if (job.status === "queued") return card.show(t("queued", { names }), null);
  if (job.status === "failed") {
    return card.end(t("jobFailedWhole", { reason: job.error ?? "?" }), true);
  }
  if (job.status === "cancelled") return card.end(t("jobCancelled"), true);
  if (job.status === "done") return showResult(job, card);
  const values = {
    names,
    done: number(job.documents ?? 0),
    total: number(job.total ?? 0),
    passages: number(job.passages ?? 0),
  };
  const key = job.passages ? "indexingPassages" : "indexing";
  const share = shareOf(job);
  return card.show(t(key, values) + left(share), share);
}

function showResult(job, card) {
  const counts = [
    ["jobAdded", job.added?.length],
    ["jobUpdated", job.updated?.length],
    ["jobUnchanged", job.unchanged],
    ["jobFailed", job.failed?.length],
  ].filter(([, n]) => n);
  const failures = job.failed ?? [];
  const said = counts.map(([key, n]) => t(key, { n: number(n) })).join(" · ");
  const notes = (job.notes ?? []).map(({ name, text }) => ({ name, reason: text }));
  card.end(t("jobDone") + said, failures.length > 0, [...failures, ...notes]);
}

/** What is said of a file; most reasons begin with its name themselves. */
function failureLine({ name, reason }) {
  const said = translateNote(reason);
  return said.includes(name.split("/").at(-1)) ? said : t("jobFailedName", { name, reason: said });
}

/** A card in the list of uploads. */
function cardOf(index) {
  const text = el("p", {});
  const bar = el("progress", { max: 1, "aria-label": t("uploads") });
  const onclick = () => action?.();
  const button = el("button", { type: "button", class: "icon quiet", onclick }, icon("close"));
  const list = el("ul", { class: "failures" });
  const card = el("li", { class: "job", "data-index": index });
  let action = null;
  button.hidden = true;
  card.append(el("div", { class: "job-head" }, text, button), bar, list);
  card.hidden = index !== state.index && state.index !== null;
  $("jobs").prepend(card);
  const cancel = (run, label = t("cancel")) => {
    action = run;
    button.hidden = run === null;
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  return {
    cancel,
    show(said, share) {
      text.textContent = said;
      bar.hidden = false;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    },
    end(said, bad, failures = []) {
      text.textContent = said;
      bar.hidden = true;
      card.classList.toggle("bad", bad);
      card.classList.add("over");
      list.replaceChildren(
        ...failures.map((one) => el("li", {}, failureLine(one))),
      );
      cancel(() => card.remove(), t("dismiss"));
      $("status").textContent = said;
      for (const other of [...$("jobs").querySelectorAll(".job.over:not(.bad)")]) {
        if (other !== card) other.remove();
      }
    },
  };
}
