// The pages of a PDF or of a picture beside the answer, with the passage highlighted.

import { api } from "./api.js";
import { $, el } from "./dom.js";
import { t } from "./i18n.js";
import { state } from "./store.js";

const NAMES = /\.(pdf|png|jpe?g|tiff?|bmp|webp|gif)$/i;
const SVG = "http://www.w3.org/2000/svg";
/** Pixels left above a passage that is scrolled to. */
const ABOVE = 72;

let shown = null;
let picture = null;

/** Whether a document may have pages that can be shown, by its name. */
export const hasPages = (name) => NAMES.test(name);

export function startPages() {
  $("page-before").addEventListener("click", () => turn(-1));
  $("page-after").addEventListener("click", () => turn(1));
  $("page-zoom").addEventListener("click", () => zoom($("page-zoom").ariaPressed !== "true"));
}

/** Show the pages on which a passage stands, the first of them now; `place` null is the first page. */
export async function showPages({ id, name, place, text, signal }) {
  const { total, data } = await api.pages(state.index, id, place, signal);
  if (signal.aborted) return;
  shown = { id, name, text, total, signal, number: data[0].page };
  shown.boxes = new Map(data.map((one) => [one.page, one.boxes]));
  zoom(false);
  await draw();
}

/** Let go of the picture. */
export function clearPages() {
  $("viewer-page").replaceChildren();
  if (picture) URL.revokeObjectURL(picture);
  picture = shown = null;
}

async function turn(by) {
  const number = shown.number + by;
  if (number < 1 || number > shown.total) return;
  shown.number = number;
  await draw().catch((error) => {
    if (error.name !== "AbortError") $("viewer-page").replaceChildren(el("p", { class: "error" }, error.message));
  });
}

function zoom(on) {
  $("page-zoom").setAttribute("aria-pressed", String(on));
  $("viewer-page").classList.toggle("zoomed", on);
  toPassage();
}

async function draw() {
  const { id, name, number, total, signal } = shown;
  $("page-number").textContent = t("pageOf", { n: number, total });
  $("page-before").disabled = number === 1;
  $("page-after").disabled = number === total;
  const box = $("viewer-page");
  box.setAttribute("aria-busy", "true");
  try {
    const blob = await api.pageImage(state.index, id, number, signal);
    if (signal.aborted || shown?.number !== number) return;
    const before = picture;
    picture = URL.createObjectURL(blob);
    const image = el("img", { src: picture, alt: t("pageImage", { n: number, name }), draggable: "false" });
    await image.decode();
    if (signal.aborted || shown?.number !== number) return;
    if (before) URL.revokeObjectURL(before);
    box.replaceChildren(sheet(image, shown.boxes.get(number) ?? []));
    toPassage();
    box.focus({ preventScroll: true });
  } finally {
    box.removeAttribute("aria-busy");
  }
}

function sheet(image, boxes) {
  const figure = el("figure", { class: "page" }, image);
  if (!boxes.length) return figure;
  const marks = document.createElementNS(SVG, "svg");
  marks.setAttribute("viewBox", "0 0 1 1");
  marks.setAttribute("preserveAspectRatio", "none");
  marks.setAttribute("aria-hidden", "true");
  for (const { left, top, right, bottom } of boxes) {
    const mark = document.createElementNS(SVG, "rect");
    const values = { x: left, y: top, width: right - left, height: bottom - top };
    for (const [name, value] of Object.entries(values)) mark.setAttribute(name, value);
    marks.append(mark);
  }
  figure.append(marks, el("figcaption", { class: "hidden-label" }, t("highlighted", { text: shown.text })));
  return figure;
}

function toPassage() {
  const box = $("viewer-page");
  const mark = box.querySelector("rect");
  box.scrollTop = 0;
  if (!mark) return;
  const [here, there] = [mark.getBoundingClientRect(), box.getBoundingClientRect()];
  box.scrollTop = here.top - there.top - ABOVE;
  box.scrollLeft = here.left - there.left - 24;
}
