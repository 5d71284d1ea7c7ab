// Formulas in LaTeX as MathML, by Temml (MIT, see ./temml.LICENSE), loaded when first needed.

import { el } from "./dom.js";

/** A formula within a line. A dollar before a space or after a letter is money. */
export const FORMULA = new RegExp(
  [
    /\\\((?<round>.+?)\\\)/,
    /\\\[(?<square>.+?)\\\]/,
    /\$\$(?<display>[^$]+?)\$\$/,
    /(?<![\w\\$])\$(?<dollars>[^\s$](?:[^$\n]*[^\s$\\])?)\$(?![\w$])/,
  ]
    .map((one) => one.source)
    .join("|"),
);

const WORDS = /\\(?:text|textbf|textit|mathrm|mbox|operatorname|tag)\s*\{[^{}]*\}/g;
const HAN = /[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]/;
/** Longest formula that is rendered; longer ones are shown as they are written. */
const LONGEST = 5000;

let loading = null;

/** Whether the text between two dollars is a formula; Chinese is in one only within \text. */
export const isFormula = (latex) => !HAN.test(latex.replace(WORDS, ""));

/** A formula; its source until it can be shown, or if it is not LaTeX. */
export function formula(latex, display, source) {
  const node = el("span", { class: display ? "formula display" : "formula" }, source);
  if (latex.length > LONGEST) return node;
  if (globalThis.temml) show(node, latex, display);
  else load().then(() => show(node, latex, display), () => {});
  return node;
}

function load() {
  loading ??= new Promise((resolve, reject) => {
    const onerror = () => {
      loading = null; // tried again with the next formula
      reject(new Error("no formulas"));
    };
    document.head.append(el("script", { src: "static/temml.min.js", onload: resolve, onerror }));
  });
  return loading;
}

function show(node, latex, display) {
  try {
    const options = { displayMode: display, throwOnError: true, maxSize: [20, 200] };
    const tree = globalThis.temml.__renderToMathMLTree(latex, options);
    style(tree);
    node.replaceChildren(tree.toNode());
  } catch {
    node.classList.add("broken");
  }
}

/** Set styles as properties: the page's policy lets no attribute set them. */
function style(tree) {
  const { style: text, ...rest } = tree.attributes ?? {};
  if (text) {
    tree.attributes = rest;
    for (const one of text.split(";").filter(Boolean)) {
      const [name, value] = one.split(":").map((part) => part.trim());
      tree.style[name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase())] = value;
    }
  }
  (tree.children ?? []).forEach(style);
}
