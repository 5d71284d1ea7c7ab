// The settings dialog; a change is kept at once.

import { $ } from "/static/dom.js";
import { number, t } from "/static/i18n.js";
import { settings } from "/static/store.js";

export function startSettings() {
  $("open-settings").addEventListener("click", () => {
    show();
    $("settings").showModal();
  });
  $("set-k").addEventListener("input", (event) => set({ k: Number(event.target.value) }));
  $("set-chain").addEventListener("change", (event) => set({ chain: event.target.value }));
  $("set-temperature").addEventListener("input", (event) =>
    set({ temperature: Number(event.target.value) }),
  );
  $("set-length").addEventListener("change", (event) => {
    const { min, max, value } = event.target;
    const length = Math.round(Number(value)) || settings.all().length;
    set({ length: Math.min(Number(max), Math.max(Number(min), length)) });
  });
  $("set-defaults").addEventListener("click", () => {
    settings.reset();
    show();
  });
}

function set(changes) {
  settings.set(changes);
  show();
}

function show() {
  const { k, chain, temperature, length } = settings.all();
  $("set-k").value = k;
  $("set-k-value").textContent = number(k);
  $("set-chain").value = chain;
  $("set-temperature").value = temperature;
  $("set-temperature-value").textContent = temperature.toFixed(1);
  $("set-length").value = length;
  $("summary-length").textContent = t("summaryLength", { n: number(length) });
}
