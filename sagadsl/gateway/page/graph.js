// The steps of a definition as nested boxes, coloured by how they stand in a run.

import { el, SIGNS } from "./dom.js";

const KINDS = {
  parallel: "all at once", switch: "one of", for_each: "for each", repeat: "again and again", group: "one after the other",
  wait_for: "waits for signal", sleep: "sleeps", set: "computes", fail: "fails", return: "ends the saga", answer: "answers", send: "sends signal", saga: "saga", nexus: "nexus", activity: "",
};

/** Returns the drawing; `lines` are those of the status, each of which names the box that it is a state of. */
export function graph(definition, lines = []) {
  const states = new Map();
  for (const line of lines) states.set(line.box, [...(states.get(line.box) ?? []), line]);
  const drawn = sequence(definition.steps, states);
  const failure = definition.on_failure.length
    ? [el("p.hint", {}, "when the saga has failed:"), sequence(definition.on_failure, states)]
    : [];
  const pause = definition.on_pause.length
    ? [el("p.hint", {}, "when the saga begins to wait for an operator:"), sequence(definition.on_pause, states)]
    : [];
  return el("div.graph", { role: "group", aria: { label: "Steps" } }, drawn, failure, pause);
}

function sequence(nodes, states) {
  return el("ol.sequence", {}, nodes.map((node) => el("li", {}, box(node, states))));
}

function box(node, states) {
  const all = states.get(node.path) ?? [];
  const lines = all.filter((line) => !line.undoes), undone = all.filter((line) => line.undoes);
  const state = worst(lines.map((line) => line.state));
  const undo = worst(undone.map((line) => line.state));
  const shown = undone.find((line) => line.state === undo);
  const undoing = lines.length > 1 ? `${shown?.what} × ${undone.filter((line) => line.what === shown?.what).length}` : shown?.what;
  const what = [KINDS[node.kind] ?? node.kind, node.what].filter(Boolean).join(" ");
  const rounds = lines.length > 1 ? ` × ${lines.length}` : "";
  return el(
    `div.box.${undo || state || "pending"}${node.pivot ? ".pivot" : ""}`,
    { data: { path: node.path } },
    el("div.title", {}, el("span.sign", { aria: { hidden: "true" } }, SIGNS[undo || state] ?? "·"), ` ${node.id}${rounds} `,
      state ? el("span.unseen", {}, `(${state}${undo ? `, ${undoing}` : ""})`) : null),
    what ? el("div.what", {}, what) : null,
    (node.about ?? []).map((words) => el("div.hint", {}, words)),
    node.needs ? el("div.hint", {}, `after ${node.needs.join(", ")}`) : null,
    node.if ? el("div.hint", {}, `if ${node.if}`) : null,
    node.pivot ? el("div.hint", {}, "pivot: nothing is undone after it") : null,
    undo ? el("div.undo", {}, `${shown.sign} ${undoing}`) : null,
    !undo && node.undone_by ? el("div.hint", {}, `undone by ${node.undone_by.join(", ")}`) : null,
    node.lanes ? el(`div.lanes.${node.kind}`, {}, node.lanes.map((lane) => laneOf(lane, states))) : null,
    (node.on_error ?? []).map((handler) =>
      handler.steps.length ? el("div.handler", {}, el("div.hint", {}, `on ${handler.label}, then ${handler.then}`), sequence(handler.steps, states)) : el("div.hint", {}, `on ${handler.label}: ${handler.then}`)),
  );
}

function laneOf(lane, states) {
  return el("div.lane", {}, lane.label ? el("div.hint", {}, lane.label) : null, sequence(lane.steps, states));
}

/** Of several rounds, the state that wants to be seen. */
function worst(states) {
  const order = ["paused", "failed", "compensating", "running", "unknown", "cancelled", "abandoned", "compensated", "rejected", "pending", "not_started", "completed", "skipped"];
  return order.find((state) => states.includes(state)) ?? states[0] ?? "";
}
