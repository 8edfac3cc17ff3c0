// Making elements. Whatever comes from a saga goes in as text, and never as markup.

import { write } from "./json.js";

/**
 * Returns an element. `on*` are listeners, `data` and `aria` objects, everything else an attribute or a property;
 * `value` is always a property, since a textarea has no such attribute.
 */
export function el(name, attributes = {}, ...children) {
  const [tag, ...classes] = name.split(".");
  const node = document.createElement(tag || "div");
  if (classes.length) node.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "data" || key === "aria") {
      for (const [part, text] of Object.entries(value)) node.setAttribute(`${key}-${part}`, text);
    } else if (key === "value" || (key in node && typeof value !== "string")) node[key] = value;
    else node.setAttribute(key === "htmlFor" ? "for" : key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Puts `children` into `parent` in place of what is there; what had the focus, or was unfolded, stays so by its `data-key`. */
export function fill(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  const open = new Set([...parent.querySelectorAll("details[open][data-key]")].map((each) => each.dataset.key));
  parent.replaceChildren(...children.flat(Infinity).filter(Boolean));
  for (const each of parent.querySelectorAll("details[data-key]")) {
    if (open.has(each.dataset.key)) each.open = true;
  }
  if (focused) parent.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
}

/** Says something to whoever hears the page instead of seeing it. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** A length of time as the command line spells it: 0.4s, 12s, 3m05s, 2h10m, 3d04h. */
export function spell(seconds) {
  seconds = Math.max(seconds, 0);
  if (seconds < 10) return `${seconds.toFixed(1)}s`;
  const two = (number) => String(number).padStart(2, "0");
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${two(whole % 60)}s`;
  const hours = Math.floor(minutes / 60);
  return hours < 24 ? `${hours}h${two(minutes % 60)}m` : `${Math.floor(hours / 24)}d${two(hours % 24)}h`;
}

/** An instant as people here read it, with the exact one as its title. */
export function instant(iso) {
  return el("time", { dateTime: iso, title: iso }, new Date(iso).toLocaleString());
}

const WRITTEN = /`([^`]+)`|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/g;

/** A sentence of the command line as a page shows it: names between back-quotes as code, times as people here read them. */
export function sentence(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(WRITTEN)) {
    parts.push(text.slice(at, found.index), found[1] ? el("code", {}, found[1]) : instant(found[2]));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

/** An error in one line; a mistake in the code of an activity begins with its file and line. */
export function said(error) {
  return `${error.place ? `${error.place}: ` : ""}${error.type}: ${error.message}`;
}

/** A value of a saga, folded when it is long. */
export function value(data, key) {
  const text = write(data, "  ") ?? "";
  if (text.length < 60) return el("code", {}, write(data) ?? "nothing");
  return el("details", { data: { key } }, el("summary", {}, `${text.length.toLocaleString()} characters`), el("pre", {}, text));
}

/** The words and signs of states, as in the command line: a test compares them with `status/lines.py`. */
export const SIGNS = {
  pending: "·", not_started: "·", running: "▶", paused: "‖", held: "‖", completed: "✓", failed: "✗", skipped: "-", skipped_by_hand: "»", cancelled: "⊘", abandoned: "↗",
  compensating: "↩", compensated: "↩", rejected: "⊖", terminated: "✗", timed_out: "✗", unknown: "?",
};

/** A state as people read it. */
function words(state) {
  return state.replaceAll("_", " ");
}

/** A state as a coloured word with its sign: never by colour alone. */
export function badge(state) {
  return el(`span.badge.${state}`, {}, `${SIGNS[state] ?? "?"} ${words(state)}`);
}

/** The head of a table of steps. */
export function stepsHead() {
  return el("thead", {}, el("tr", {}, ["Step", "What", "Took", "Note"].map((text) => el("th", { scope: "col" }, text))));
}

/** The name of a step as the head of its row, with its sign and state. */
export function named(line) {
  return el("th", { scope: "row", data: { depth: String(Math.min(line.depth, 8)) } }, el("span.sign", { aria: { hidden: "true" } }, line.sign), ` ${line.path}`,
    el("span.unseen", {}, ` (${words(line.state)})`));
}
