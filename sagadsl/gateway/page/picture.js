// The picture of a saga, as `sagadsl graph` draws it. The gateway draws and places all of it; the page puts in what has
// changed since, so that what has the focus keeps it, and a long saga costs little.

import { text, Refused } from "./api.js";
import { el, fill } from "./dom.js";

const SVG = "http://www.w3.org/2000/svg";
const TAGS = new Set(["svg", "g", "rect", "path", "text", "title", "defs", "marker"]);
const ATTRIBUTES = new Set(["class", "id", "width", "height", "viewBox", "role", "aria-label", "aria-hidden", "data-path", "x", "y", "rx", "d",
  "refX", "refY", "markerWidth", "markerHeight", "orient", "markerUnits", "marker-end"]);
const BETWEEN = 250; // milliseconds, at least, from one picture to the next, while a saga runs

/**
 * Returns the picture at an address: its `node`, and `update`, which brings it up to date.
 * `choose(path)` is called when somebody picks the box of a step.
 */
export function picture(path, { run, signal, choose = () => {} }) {
  const canvas = el("div.wide", { tabindex: "0", role: "region", aria: { label: "Graph" } });
  const node = el("div.picture");
  let shown = null, isAsking = false, isStale = false, width = 0;

  async function update() {
    isStale = true;
    if (isAsking) return;
    isAsking = true;
    try {
      while (isStale && !signal.aborted) {
        isStale = false;
        const began = Date.now();
        width = room();
        const of = run ? `&run=${encodeURIComponent(run)}` : "";
        put(await text(`${path}/picture?width=${width}${of}`, { signal }));
        await new Promise((resolve) => setTimeout(resolve, BETWEEN + 2 * (Date.now() - began))); // a large one comes less often
      }
    } catch (error) {
      if (!signal.aborted && !shown) fill(node, el("p.hint", {}, `There is no picture: ${error instanceof Refused ? error.message : "the connection was lost"}`));
    } finally {
      isAsking = false;
    }
  }

  function put(drawn) {
    const bare = drawn.replace(/<style>[^]*?<\/style>/, ""); // the page has the same rules as a file, and takes no others
    const fresh = copied(new DOMParser().parseFromString(bare, "image/svg+xml").documentElement);
    if (shown) merge(shown, fresh);
    else {
      shown = fresh;
      fill(canvas, shown);
      fill(node, canvas);
      byKeyboard(shown, choose);
      const now = shown.querySelector(".c-paused, .c-running, .c-failed");
      if (now) canvas.scrollTop = Math.max(0, Number(now.getAttribute("y")) - 100); // a long picture begins where the saga is
    }
    const boxes = [...shown.querySelectorAll("[data-path]")];
    for (const each of boxes) if (!each.hasAttribute("tabindex")) each.setAttribute("tabindex", "-1");
    if (!boxes.some((each) => each.getAttribute("tabindex") === "0")) boxes[0]?.setAttribute("tabindex", "0");
    const over = Math.max(0, Math.min(Number(shown.getAttribute("width")), width) - node.parentElement.clientWidth);
    node.style.marginInline = `${-Math.floor(over / 2)}px`; // a wide one may be wider than the text of the page
  }

  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(() => shown && room() !== width && update(), BETWEEN);
  }, { signal });
  return { node, update };
}

/** The width that a picture may have. */
function room() {
  return Math.min(Math.max(document.documentElement.clientWidth - 32, 200), 10000);
}

/** Copies what a picture is made of, and nothing else: no script, no style, no link. */
function copied(node) {
  const made = document.createElementNS(SVG, node.localName);
  for (const { name, value } of node.attributes) if (ATTRIBUTES.has(name)) made.setAttribute(name, value);
  if (node.localName === "svg") made.setAttribute("role", "listbox");
  else if (made.hasAttribute("data-path")) made.setAttribute("role", "option");
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) made.append(child.data);
    else if (TAGS.has(child.localName)) made.append(copied(child));
  }
  return made;
}

/** Makes `shown` say what `fresh` says. What has not changed is not touched. */
function merge(shown, fresh) {
  for (const { name } of [...shown.attributes]) if (name !== "tabindex" && !fresh.hasAttribute(name)) shown.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  const before = [...shown.childNodes], now = [...fresh.childNodes];
  now.forEach((node, index) => {
    const old = before[index];
    if (!old) shown.append(node);
    else if (old.nodeName !== node.nodeName || old.dataset?.path !== node.dataset?.path) old.replaceWith(node);
    else if (node.nodeType !== Node.TEXT_NODE) merge(old, node);
    else if (old.data !== node.data) old.data = node.data;
  });
  for (const each of before.slice(now.length)) each.remove();
}

/** One stop for all boxes: arrows go from box to box in the order of the steps, Enter picks one. */
function byKeyboard(svg, choose) {
  const boxOf = (event) => event.target.closest("[data-path]");
  svg.addEventListener("click", (event) => boxOf(event) && choose(boxOf(event).dataset.path));
  svg.addEventListener("focusin", (event) => {
    svg.querySelector('[tabindex="0"]')?.setAttribute("tabindex", "-1");
    boxOf(event)?.setAttribute("tabindex", "0");
  });
  svg.addEventListener("keydown", (event) => {
    const boxes = [...svg.querySelectorAll("[data-path]")], at = boxes.indexOf(boxOf(event));
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: boxes.length - 1 }[event.key];
    if (event.key === "Enter" || event.key === " ") choose(boxes[at].dataset.path);
    else if (to === undefined) return;
    else boxes[Math.min(Math.max(to, 0), boxes.length - 1)].focus();
    event.preventDefault();
  });
}
