// When which call of a saga ran: bars above an axis.

import { el, fill, spell } from "./dom.js";

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const MOST = 6;

/** Shows the calls of a trace as bars on one scale. */
export function timeline(section, trace) {
  const calls = trace.calls;
  if (!calls.length) return fill(section);
  const begin = Math.min(...calls.map((call) => Date.parse(call.started_at)));
  const end = Math.max(...calls.map((call) => (call.ended_at ? Date.parse(call.ended_at) : Date.now())), begin + 1);
  const share = (at) => (100 * (at - begin)) / (end - begin);
  const marks = ticks((end - begin) / 1000);
  const lines = () => marks.slice(1).map((at) => placed(el("span.grid"), share(begin + at * 1000)));
  fill(section, el("h2", {}, "Timeline"), el("p.hint", {}, `${short((end - begin) / 1000)} from the first call to the last`), el("ol.bars", {}, calls.map((call) => {
    const from = Date.parse(call.started_at), to = call.ended_at ? Date.parse(call.ended_at) : Date.now();
    const bar = placed(el(`span.bar.${call.status}${call.undoes ? ".undo" : ""}`), share(from));
    bar.style.width = `max(${share(to) - share(from)}%, 3px)`;
    return el("li", {}, el("span.lane-name", {}, call.path), el("span.track", { aria: { hidden: "true" } }, lines(), bar),
      el("span.unseen", {}, `${call.status}, ${short((to - from) / 1000)}`));
  })), el("div.axis", { aria: { hidden: "true" } }, el("span"), el("span.ticks", {}, marks.map((at) => placed(el("span.tick", {}, short(at)), share(begin + at * 1000))))));
}

function placed(node, percent) {
  node.style.left = `${percent}%`;
  return node;
}

/** The seconds at which an axis has a mark: round ones, and not too many. */
export function ticks(seconds) {
  const least = seconds / MOST;
  const small = 10 ** Math.floor(Math.log10(least));
  const step = least < 1 ? [1, 2, 5, 10].map((each) => each * small).find((each) => each >= least)
    : STEPS.find((each) => each >= least) ?? Math.ceil(least / 86400) * 86400;
  return Array.from({ length: Math.floor(seconds / step * 0.97) + 1 }, (_, index) => index * step); // the last one has room for its words
}

/** A length of time; below a second in milliseconds, which the command line does not need. */
export function short(seconds) {
  if (seconds === 0) return "0";
  return seconds < 1 ? `${Number((seconds * 1000).toPrecision(3))} ms` : Number.isInteger(seconds) && seconds < 60 ? `${seconds}s` : spell(seconds);
}
