// An answer as text: its marks, its places, and it with its sources as Markdown.

import { t } from "./i18n.js";

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

/** Relevance in percent; null for a passage that was not searched for. */
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
