// The side panels: a column on a wide screen, a sheet over the page on a narrow one.

import { $, composing } from "./dom.js";

const WIDE = matchMedia("(min-width: 1100px)");
const panels = () => [$("viewer"), $("summary")];
const openers = new WeakMap();

/** Open a panel and close the other; `opener` gets the focus back. */
export function openPanel(panel, opener = document.activeElement) {
  for (const other of panels()) if (other !== panel && other.open) close(other);
  openers.set(panel, opener);
  if (!panel.open) {
    if (WIDE.matches) panel.show();
    else panel.showModal();
  }
}

export function close(panel) {
  if (panel.open) panel.close();
}

function returnFocus(panel) {
  const opener = openers.get(panel);
  openers.delete(panel);
  if (panels().some((other) => other.open)) return;
  if (opener?.isConnected && opener.getClientRects().length) opener.focus();
  else $("question").focus();
}

function isOutside(panel, { clientX, clientY }) {
  const { left, right, top, bottom } = panel.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}

/** Make the close buttons, Esc and a click outside work. */
export function startPanels() {
  for (const dialog of document.querySelectorAll("dialog")) {
    for (const button of dialog.querySelectorAll("[data-close]")) {
      button.addEventListener("click", () => dialog.close());
    }
  }
  for (const panel of panels()) {
    panel.addEventListener("close", () => returnFocus(panel));
    panel.addEventListener("pointerdown", (event) => {
      if (event.target === panel && panel.matches(":modal") && isOutside(panel, event)) close(panel);
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || composing(event)) return;
    if (document.querySelector("dialog:modal")) return;
    const open = panels().find((panel) => panel.open);
    if (open) {
      event.preventDefault();
      close(open);
    }
  });
}
