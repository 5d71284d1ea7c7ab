// Turning an answer's text into elements, and an answer into Markdown.

import { el } from "/static/dom.js";
import { t } from "/static/i18n.js";

const MARK = /\[(\d{1,3})\]/;
const INLINE = /(\[\d{1,3}\]|\*\*[^*\n]+\*\*|`[^`\n]+`)/;
const ITEM = /^\s*(?:[-*•]|(\d{1,3})[.、)）])\s+(.+)$/;
const HEADING = /^#{1,6}\s+(.+)$/;

/** Show `text` in `node`; blocks that did not change are left alone, so that focus stays. */
export function renderText(node, text, citationButton) {
  const lines = text.split("\n").filter((one) => one.trim());
  const blocks = [...node.children];
  lines.forEach((one, number) => {
    if (blocks[number]?.source === one) return;
    const block = blockOf(one, citationButton);
    block.source = one;
    if (blocks[number]) blocks[number].replaceWith(block);
    else node.append(block);
  });
  for (const extra of blocks.slice(lines.length)) extra.remove();
}

function blockOf(text, citationButton) {
  const heading = HEADING.exec(text);
  if (heading) return el("p", { class: "block-heading" }, ...inline(heading[1], citationButton));
  const item = ITEM.exec(text);
  if (!item) return el("p", {}, ...inline(text, citationButton));
  const bullet = el("span", { class: "bullet" }, item[1] ? `${item[1]}.` : "•");
  return el("p", { class: "item" }, bullet, el("span", {}, ...inline(item[2], citationButton)));
}

function inline(text, citationButton) {
  return text
    .split(INLINE)
    .filter(Boolean)
    .map((part) => {
      const mark = MARK.exec(part);
      if (mark && mark[0] === part) return citationButton?.(Number(mark[1])) ?? part;
      if (/^\*\*.+\*\*$/.test(part)) return el("strong", {}, part.slice(2, -2));
      if (/^`.+`$/.test(part)) return el("code", {}, part.slice(1, -1));
      return part;
    });
}

/** The text without its marks, for the model to read as history. */
export function withoutMarks(text) {
  return text.replace(/\[\d{1,3}\]/g, "");
}

/** File name, page and headings of a citation. */
export function placeOf(citation) {
  const parts = [citation.name];
  if (citation.page) parts.push(t("page", { n: citation.page }));
  if (citation.headings?.length) parts.push(citation.headings.join(" › "));
  else if (citation.heading) parts.push(citation.heading);
  return parts.join(" · ");
}

/** Relevance in percent; null of a passage that was not searched for. */
export const percent = ({ relevance }) => relevance == null ? null : Math.round(relevance * 100);

/** An answer and its sources as Markdown. */
export function markdown(title, text, citations = [], answered = true) {
  const parts = [`# ${title}`, text.trim()];
  if (citations.length) parts.push(`## ${t(answered ? "sources" : "nearest")}`);
  for (const one of citations) {
    const quote = one.text.trim().split("\n").map((row) => `> ${row}`).join("\n");
    const share = percent(one);
    const relevance = share === null ? "" : ` (${t("relevance", { n: share })})`;
    parts.push(`**[${one.marker}] ${placeOf(one)}**${relevance}\n\n${quote}`);
  }
  return `${parts.join("\n\n")}\n`;
}
