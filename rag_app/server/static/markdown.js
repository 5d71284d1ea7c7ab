// The Markdown of an answer as elements; anything else stays text.

import { el } from "./dom.js";
import { FORMULA, formula, isFormula } from "./formulas.js";
import { t } from "./i18n.js";

const FENCE = /^\s*(`{3,}|~{3,})\s*([\w+#.-]*)/;
const HEADING = /^\s{0,3}#{1,6}\s+(.+?)\s*#*$/;
const RULE = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^\s*>\s?/;
const ITEM = /^(\s*)(?:[-*•+]|(\d{1,3})[.、)）])\s+(.+)$/;
const ROW = /^\s*\|.*\|\s*(\[\d{1,3}\]\s*)*$|^[^|]+\|[^|]*(\|[^|]*)*$/;
const UNDER_HEAD = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const DISPLAY = /^\s*(\$\$|\\\[)/;

const INLINE = new RegExp(
  [
    /(?<ticks>`+)(?<code>.+?)\k<ticks>(?!`)/,
    FORMULA,
    /\[(?<mark>\d{1,3})\](?!\()/,
    /\*\*(?<strong>[^\n]+?)\*\*(?!\*)/,
    /(?<![\w*])\*(?<em>[^\s*](?:[^*\n]*[^\s*])?)\*(?![\w*])/,
    /~~(?<gone>[^~\n]+)~~/,
    /(?<newline><br\s*\/?>)/,
    /\\(?<escaped>[\\`*_{}#+.!$~|>-])/,
  ]
    .map((one) => one.source)
    .join("|"),
  "g",
);

/**
 * Show Markdown in `node`; blocks that did not change are left alone, so that focus stays.
 * `markButton` makes what is shown for a mark such as [1], null where it is text.
 */
export function renderMarkdown(node, text, markButton) {
  const shown = [...node.children];
  const blocks = blocksOf(text.split("\n"));
  blocks.forEach(({ source, build }, place) => {
    const old = shown[place];
    if (old?.source === source) return;
    const block = build(markButton);
    block.source = source;
    if (old) replace(old, block);
    else node.append(block);
  });
  for (const extra of shown.slice(blocks.length)) extra.remove();
}

/** Replace a block by its longer self; a mark in it that has the focus keeps it. */
function replace(old, block) {
  const marks = [...old.querySelectorAll(".citation")];
  const focused = marks.indexOf(document.activeElement);
  old.replaceWith(block);
  if (focused >= 0) block.querySelectorAll(".citation")[focused]?.focus();
}

/** The blocks of lines: their source, and how to build them. */
function blocksOf(lines) {
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    if (!lines[at].trim()) {
      at += 1;
      continue;
    }
    const [count, build] = blockAt(lines, at);
    blocks.push({ source: lines.slice(at, at + count).join("\n"), build });
    at += count;
  }
  return blocks;
}

/** How many lines the block has that begins at a line, and how to build it. */
function blockAt(lines, at) {
  const line = lines[at];
  const rest = lines.slice(at);
  const count = (belongs) => {
    const end = rest.findIndex((one, place) => place > 0 && !belongs(one, place));
    return end < 0 ? rest.length : end;
  };
  const fence = FENCE.exec(line);
  if (fence) {
    const ends = (one) => one.trim().startsWith(fence[1]);
    const inner = count((one, place) => place === 1 || !ends(rest[place - 1]));
    const body = rest.slice(1, ends(rest[inner - 1]) && inner > 1 ? inner - 1 : inner);
    return [inner, () => scrolling("code", el("pre", {}, el("code", {}, body.join("\n"))))];
  }
  const display = DISPLAY.exec(line);
  if (display) {
    const end = display[1] === "$$" ? "$$" : "\\]";
    const height = displayHeight(rest, display[0].length, end);
    if (height) return [height, (marks) => displayed(rest.slice(0, height), display[0], end, marks)];
  }
  if (ROW.test(line) && UNDER_HEAD.test(rest[1] ?? "") && cells(line).length === cells(rest[1]).length) {
    const rows = count((one) => one.trim() && one.includes("|"));
    return [rows, (marks) => table(rest.slice(0, rows), marks)];
  }
  const heading = HEADING.exec(line);
  if (heading) return [1, (marks) => el("h3", { class: "block-heading" }, ...inline(heading[1], marks))];
  if (RULE.test(line)) return [1, () => el("hr")];
  if (QUOTE.test(line)) {
    const quoted = count((one) => QUOTE.test(one));
    const inner = rest.slice(0, quoted).map((one) => one.replace(QUOTE, ""));
    return [quoted, (marks) => el("blockquote", {}, ...built(inner, marks))];
  }
  if (ITEM.test(line)) {
    const items = count((one) => ITEM.test(one) || /^\s{2,}\S/.test(one));
    return [items, (marks) => list(rest.slice(0, items), marks)];
  }
  return [1, (marks) => el("p", {}, ...inline(line.trim(), marks))];
}

const built = (lines, marks) => blocksOf(lines).map(({ build }) => build(marks));

/** How many lines a display formula has; 0 where it does not end. */
function displayHeight(lines, begin, end) {
  for (const [place, line] of lines.entries()) {
    if (place > 0 && !line.trim()) return 0;
    if (line.slice(place === 0 ? begin : 0).includes(end)) return place + 1;
  }
  return 0;
}

function displayed(lines, begin, end, marks) {
  const text = lines.join("\n");
  const stop = text.indexOf(end, begin.length);
  const source = text.slice(0, stop + end.length).trim();
  const shown = formula(text.slice(begin.length, stop), true, source);
  const after = text.slice(stop + end.length).trim();
  const box = scrolling("formula", shown);
  if (!after) return box;
  return el("div", {}, box, el("p", {}, ...inline(after, marks)));
}

/** Content that may be wider than the page, in a box that the keyboard can scroll. */
function scrolling(name, inner) {
  return el("div", { class: `wide-box ${name}-box`, tabindex: "0", role: "group", "aria-label": t(name) }, inner);
}

/** The cells of a row; marks after its end belong to the last. */
function cells(row) {
  const [, inner, marks] = /^\s*\|?(.*?)\|?\s*((?:\[\d{1,3}\]\s*)*)$/.exec(row);
  const found = inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
  if (marks.trim()) found[found.length - 1] += ` ${marks.trim()}`;
  return found;
}

function table(rows, marks) {
  const sides = cells(rows[1]).map((cell) => {
    if (/^:-+:$/.test(cell)) return "center";
    return cell.endsWith(":") ? "right" : null;
  });
  const head = cells(rows[0]);
  const row = (tag, values, attributes) =>
    el("tr", {}, ...head.map((_, place) =>
      el(tag, { ...attributes, class: sides[place] }, ...inline(values[place] ?? "", marks))));
  const body = rows.slice(2).map((one) => row("td", cells(one), {}));
  return scrolling("table", el("table", {},
    el("thead", {}, row("th", head, { scope: "col" })), el("tbody", {}, ...body)));
}

/** A list, and the lists within its items, by how far they are indented. */
function list(lines, marks) {
  const items = [];
  let depth = null;
  for (const line of lines) {
    const [, indent, number, text] = ITEM.exec(line) ?? [null, line.match(/^\s*/)[0]];
    depth ??= indent.length;
    if (text === undefined || (items.length && indent.length > depth + 1)) items.at(-1).inner.push(line);
    else items.push({ number, text, inner: [] });
  }
  const ordered = items[0].number !== undefined;
  const rows = items.map(({ number, text, inner }) => {
    const less = Math.min(...inner.filter((one) => one.trim()).map((one) => one.match(/^\s*/)[0].length));
    const below = built(inner.map((one) => one.slice(less)), marks);
    return el("li", { value: ordered ? number : null }, ...inline(text, marks), ...below);
  });
  return el(ordered ? "ol" : "ul", { class: "list" }, ...rows);
}

/** The parts of a line: text, and elements where it says so. */
function inline(text, marks) {
  const parts = [];
  const search = new RegExp(INLINE); // one of its own: what is found is searched as well
  let end = 0;
  for (let match = search.exec(text); match; match = search.exec(text)) {
    const found = element(match, marks);
    if (found === null) {
      search.lastIndex = match.index + 1;
      continue;
    }
    parts.push(text.slice(end, match.index), found);
    end = search.lastIndex;
  }
  return [...parts, text.slice(end)].filter((part) => part !== "");
}

function element(match, marks) {
  const { code, mark, strong, em, gone, newline, escaped, dollars, display, round, square } = match.groups;
  if (code !== undefined) return el("code", {}, code.replace(/^ (.+) $/, "$1"));
  if (mark !== undefined) return marks?.(Number(mark)) ?? null;
  if (strong !== undefined) return el("strong", {}, ...inline(strong, marks));
  if (em !== undefined) return el("em", {}, ...inline(em, marks));
  if (gone !== undefined) return el("s", {}, ...inline(gone, marks));
  if (newline) return el("br");
  if (escaped) return escaped;
  if (dollars !== undefined && !isFormula(dollars)) return null;
  return formula(dollars ?? round ?? display ?? square, display !== undefined || square !== undefined, match[0]);
}
