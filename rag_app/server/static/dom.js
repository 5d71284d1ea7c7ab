// Small helpers for building and finding elements. Text only ever goes in as text.

import { t } from "./i18n.js";

export const $ = (id) => document.getElementById(id);

/** An element: `el("p", {class: "muted"}, "text", child)`; a function as `onclick` is a listener. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.replace(/^on/, ""), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An icon of the sprite in the page. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A button of an icon alone, named by its label. */
export function iconButton(name, symbol, label, onclick) {
  const attributes = { type: "button", class: `icon quiet ${name}`, "data-testid": name };
  return el("button", { ...attributes, "aria-label": label, title: label, onclick }, icon(symbol));
}

/** A button of an icon and a word. */
export function textButton(name, label, onclick) {
  const attributes = { type: "button", class: "text", "data-testid": name, onclick };
  return el("button", attributes, icon(name), el("span", {}, label));
}

/** Show a line of text in an element, or hide the element where there is none. */
export function line(node, text) {
  node.textContent = text ?? "";
  node.hidden = !text;
}

/** Ask for confirmation in a dialog. */
export function confirm({ title, body, action }) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-body").textContent = body;
  $("confirm-yes").textContent = action;
  return modal(dialog).then((value) => value === "yes");
}

/** Open a modal dialog; resolves to its return value ("" for Esc). */
export function modal(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue), { once: true });
  });
}

/** Put text on the clipboard, also where the page is not a secure context. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return;
  } catch {
    // No clipboard without HTTPS on another machine: the old way.
  }
  const area = el("textarea", { class: "hidden-label", "aria-hidden": "true" });
  area.value = text;
  const focused = document.activeElement;
  (document.querySelector("dialog:modal") ?? document.body).append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  focused?.focus?.();
}

/** Put text on the clipboard, and say so for a while in the last part of a button; and in `status`. */
export async function copyFrom(button, text, status) {
  await copy(text);
  button.lastElementChild.textContent = status.textContent = t("copied");
  setTimeout(() => (button.lastElementChild.textContent = t("copy")), 2000);
}

/** Whether a key is one that an input method still works on; 229 where isComposing is not set. */
export const composing = (event) => event.isComposing || event.keyCode === 229;

/** Save text as a file. */
export function save(name, text, suffix = "md") {
  const type = suffix === "md" ? "text/markdown" : "application/jsonl";
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const link = el("a", { href: url, download: `${fileName(name)}.${suffix}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function fileName(text) {
  const clean = text.replace(/[\\/:*?"<>|\u0000-\u001f]+/g, " ").trim();
  return Array.from(clean).slice(0, 50).join("") || "rag-app";
}
