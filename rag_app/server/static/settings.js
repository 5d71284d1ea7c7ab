// The settings dialog; a change is kept at once.

import { $, line } from "./dom.js";
import { number, t } from "./i18n.js";
import { exportRatings } from "./rating.js";
import { on, settings, state } from "./store.js";

export function startSettings() {
  $("open-settings").addEventListener("click", () => {
    show();
    line($("rated-note"), null);
    $("export-ratings").disabled = state.index === null;
    $("settings").showModal();
  });
  on("server", () => {
    fitRanges();
    $("open-settings").disabled = false;
  });
  for (const name of ["k", "temperature", "threshold"]) {
    $(`set-${name}`).addEventListener("input", ({ target }) => set({ [name]: Number(target.value) }));
  }
  for (const name of ["chain", "style", "language"]) {
    $(`set-${name}`).addEventListener("change", ({ target }) => set({ [name]: target.value }));
  }
  $("set-length").addEventListener("change", (event) => {
    const { min, max, value } = event.target;
    const length = Math.round(Number(value)) || settings.all().length;
    set({ length: Math.min(Number(max), Math.max(Number(min), length)) });
  });
  $("export-ratings").addEventListener("click", exportRatings);
  $("set-defaults").addEventListener("click", () => {
    settings.reset();
    show();
  });
}

/** A default of the server may lie beyond what the page offers otherwise. */
function fitRanges() {
  for (const id of ["set-k", "set-temperature", "set-threshold", "set-length"]) {
    const input = $(id);
    const value = state.defaults[id.slice("set-".length)];
    input.min = Math.min(Number(input.min), value);
    input.max = Math.max(Number(input.max), value);
  }
}

function set(changes) {
  settings.set(changes);
  show();
}

function show() {
  const values = settings.all();
  for (const name of ["k", "chain", "temperature", "threshold", "style", "language", "length"]) {
    $(`set-${name}`).value = values[name];
  }
  $("set-k-value").textContent = number(values.k);
  $("set-temperature-value").textContent = number(values.temperature);
  $("set-threshold-value").textContent = `${number(Math.round(values.threshold * 100))}%`;
  $("summary-length").textContent = t("summaryLength", { n: number(values.length) });
}
