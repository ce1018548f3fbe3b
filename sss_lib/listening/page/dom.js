// Elements of the page. Text goes in as text, never as HTML: names of clips and classes are foreign.

function node(tag, about = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(about)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (value !== false && value != null) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child || child === 0)); // a condition may leave one out
  return element;
}

function link(text, url) {
  if (!/^https?:\/\//.test(url || "")) return node("span", {}, text);
  return node("a", { href: url, target: "_blank", rel: "noopener noreferrer", tabindex: -1 }, text, " ↗");
}

const plain = (label) => label.replaceAll("_", " ");
const seconds = (value) => (value < 0.95 ? value.toFixed(2) : value < 9.95 ? value.toFixed(1) : Math.round(value)) + "\u00a0s";

// JupyterLab's shortcuts take Enter and letters from whatever has the focus, unless its attribute forbids that.
// They keep their keys with Ctrl, Meta or Alt, such as the one that saves.
function keepKeys({ target, ctrlKey, metaKey, altKey }) {
  if (!target.closest?.(".sss-controls, .sss-board, .sss-map")) return;
  target.toggleAttribute("data-lm-suppress-shortcuts", !ctrlKey && !metaKey && !altKey);
}

// What is typed where several may be chosen becomes the entry that differs in case, spaces or underscores alone.
// Returns what there is not: the field would refuse it without a word.
function spellAsShown({ target }) {
  if (!target.matches?.(".sss-controls .jupyter-widget-taginput")) return "";
  const bare = (text) => plain(text).trim().toLowerCase();
  const found = [...(target.list?.options ?? [])].find((one) => bare(one.value) === bare(target.value));
  if (!found) return target.value.trim();
  target.value = found.value;
  return "";
}
