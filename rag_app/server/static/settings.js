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
  $("set-k").addEventListener("input", (event) => set({ k: Number(event.target.value) }));
  $("set-chain").addEventListener("change", (event) => set({ chain: event.target.value }));
  $("set-temperature").addEventListener("input", (event) =>
    set({ temperature: Number(event.target.value) }),
  );
  $("set-threshold").addEventListener("input", (event) =>
    set({ threshold: Number(event.target.value) }),
  );
  $("set-style").addEventListener("change", (event) => set({ style: event.target.value }));
  $("set-language").addEventListener("change", (event) => set({ language: event.target.value }));
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
  const { k, chain, temperature, threshold, style, language, length } = settings.all();
  $("set-k").value = k;
  $("set-k-value").textContent = number(k);
  $("set-chain").value = chain;
  $("set-temperature").value = temperature;
  $("set-temperature-value").textContent = number(temperature);
  $("set-threshold").value = threshold;
  $("set-threshold-value").textContent = `${number(Math.round(threshold * 100))}%`;
  $("set-style").value = style;
  $("set-language").value = language;
  $("set-length").value = length;
  $("summary-length").textContent = t("summaryLength", { n: number(length) });
}
