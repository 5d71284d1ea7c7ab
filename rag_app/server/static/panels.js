// The side panels: a column on a wide screen, a sheet or a drawer over the page on a narrow one.

import { $, composing, line } from "./dom.js";

const WIDE = matchMedia("(min-width: 1100px)");
const NARROW = matchMedia("(max-width: 820px)");
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
  startDrawer();
}

function startDrawer() {
  $("open-library").addEventListener("click", () => drawer(true));
  $("close-library").addEventListener("click", () => drawer(false));
  $("scrim").addEventListener("click", () => drawer(false));
  addEventListener("keydown", (event) => {
    const open = document.body.classList.contains("library-open");
    if (open && event.key === "Escape" && !composing(event) && !document.querySelector("dialog[open]")) drawer(false);
  });
  NARROW.addEventListener("change", () => drawer(false, false));
}

/** Open or close the drawer of a narrow screen. */
function drawer(open, moveFocus = true) {
  document.body.classList.toggle("library-open", open);
  $("open-library").setAttribute("aria-expanded", String(open));
  $("scrim").hidden = !open;
  $("main").inert = open;
  if (!moveFocus) return;
  (open ? $("close-library") : $("open-library")).focus();
}

/** Show the library, where it is a drawer too. */
export function showLibrary() {
  if (NARROW.matches && !document.body.classList.contains("library-open")) drawer(true);
}

/** Say in the library what went wrong, and show it; nothing where there is no message. */
export function libraryError(message) {
  line($("library-error"), message);
  if (message) showLibrary();
}

/** Open a panel from the list; the drawer gives way to it. */
export function opened(open) {
  if (document.body.classList.contains("library-open")) drawer(false);
  open();
}
