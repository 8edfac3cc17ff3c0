// What waits for a person: by definition, step and error, the longest wait first.

import { get, newKey } from "./api.js";
import { confirm, dialog, VERBS } from "./detail.js";
import { el, fill, instant, say, sentence } from "./dom.js";
import { begin, follow } from "./jobs.js";

const EVERY = 5000;
const SHOWN = 100;
const REASONS = {
  "paused": "paused by an operator",
  "held": "held by Temporal's own pause",
  "stuck": "its worker cannot go on",
  "call paused": "a call is paused at the server",
};

export async function incidents(main, query, signal) {
  const asked = Object.fromEntries(new URLSearchParams(query));
  const groups = el("div.incidents");
  const chosen = new Map(); // by key: what is ticked, also while the list is drawn anew
  const answers = el("section.answers", { aria: { live: "polite" } });
  const hint = el("p.hint", {}, "Asking each saga that may wait …");
  const asOf = el("p.hint");
  const search = el("form.search", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    const next = new URLSearchParams([...form].map(([key, text]) => [key, text.trim()]).filter(([, text]) => text));
    location.hash = `#/incidents${next.size ? `?${next}` : ""}`;
  } },
    el("label", {}, "Name ", el("input", { type: "search", name: "name", value: asked.name ?? "", placeholder: "order or ord*" })),
    el("label", {}, "Error ", el("input", { type: "search", name: "error", value: asked.error ?? "" })),
    el("button", { type: "submit" }, "Search"));
  fill(main, el("h1", {}, "Waits for a person"), search, answers, groups, hint, asOf);

  const refresh = async () => {
    const wanted = new URLSearchParams(Object.entries({ name: asked.name, error: asked.error }).filter(([, text]) => text));
    const found = await get(`/incidents?${wanted}`, { signal });
    const known = new Set(found.groups.flatMap((group) => group.incidents.map(keyOf)));
    for (const key of chosen.keys()) if (!known.has(key)) chosen.delete(key);
    fill(groups, found.groups.map((group) => section(group, chosen, answers, refresh, signal)));
    hint.textContent = [found.groups.length ? "" : "No open saga waits for a person.",
      found.unanswered ? `Of ${found.unanswered} more nobody knows whether they wait.` : "",
      found.has_more ? "There are more that were not looked at." : ""].filter(Boolean).join(" ");
    fill(asOf, "As of ", instant(found.as_of), " by the server's index, which lags a little behind.");
  };
  await refresh();
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    if (!signal.aborted && !document.hidden) await refresh().catch(() => {});
  }
}

const keyOf = (each) => `${each.id} ${each.path} ${each.occurrence}`;

function section(group, chosen, answers, refresh, signal) {
  const where = [group.name, group.step].filter(Boolean).join(" ");
  const reason = group.kind === "decision" ? group.type : REASONS[group.kind];
  const message = group.incidents[0].message;
  const shown = group.incidents.slice(0, SHOWN);
  const mayDecide = group.kind === "decision";
  const key = `${where} ${group.kind} ${group.type}`;
  const ticked = () => shown.filter((each) => chosen.has(keyOf(each)));
  const changed = () => {
    all.checked = ticked().length === shown.length;
    byHand.disabled = ticked().length !== 1;
  };
  const boxes = new Map(shown.map((each) => [each, tick(each, chosen, changed)]));
  const all = el("input", { type: "checkbox", data: { key: `all ${key}` }, onchange: () => {
    for (const [each, box] of boxes) {
      box.checked = all.checked;
      box.dispatchEvent(new Event("change"));
    }
  } });
  const act = (verb) => el("button", { type: "button", data: { key: `${verb} ${key}` }, onclick: () => {
    const meant = ticked();
    if (!meant.length) say("Nothing is ticked");
    else if (meant.length === 1 && verb !== "abort") decideOne(verb, meant[0], chosen, answers, refresh);
    else decide(verb, meant, chosen, answers, refresh, signal);
  } }, VERBS[verb][0]);
  const byHand = act("complete");
  byHand.title = "For one at a time: each has an output of its own";
  changed();
  return el("section", {},
    el("h2", {}, `${group.count} × ${where}: ${reason}`),
    message ? el("p", {}, sentence(message)) : null,
    mayDecide ? el("p.buttons", {}, el("label", {}, all, ` All ${shown.length}`), act("retry"), byHand, act("skip"), act("abort")) : null,
    el("ul.sequence", {}, shown.map((each) => el("li", {},
      mayDecide ? boxes.get(each) : null, " ",
      el("a", { href: `#/sagas/${encodeURIComponent(each.id)}`, data: { key: `link ${keyOf(each)}` } }, each.id),
      each.path && each.path !== group.step ? ` ${each.path}` : "",
      each.since ? [" since ", instant(each.since)] : null))),
    group.count > SHOWN ? el("p.hint", {}, `and ${group.count - SHOWN} more, which are shown when these are decided`) : null);
}

function tick(each, chosen, changed) {
  const box = el("input", { type: "checkbox", checked: chosen.has(keyOf(each)), aria: { label: `${each.id} ${each.path}` }, data: { key: keyOf(each) }, onchange: () => {
    if (box.checked) chosen.set(keyOf(each), each);
    else chosen.delete(keyOf(each));
    changed();
  } });
  return box;
}

/** Asks as the saga's own page does, with the value that the decision may give. */
function decideOne(verb, each, chosen, answers, refresh) {
  confirm(verb, `/sagas/${encodeURIComponent(each.id)}`, each.path, each.occurrence, each.undoes, () => {
    chosen.delete(keyOf(each));
    answers.prepend(el("p", {}, `${each.id}: ${VERBS[verb][0]}: done`));
    refresh().catch(() => {});
  });
}

/** Asks for a reason, then begins a job; every saga decides for itself, and a repeat counts once. */
function decide(verb, meant, chosen, answers, refresh, signal) {
  const [label, means] = VERBS[verb];
  const why = el("textarea", { id: "why", rows: 3, maxlength: "1000" });
  const key = newKey(); // of this decision: however often it is sent, it counts once
  const sagas = meant.map((each) => (verb === "abort" ? { id: each.id } : { id: each.id, step: each.path, occurrence: each.occurrence }));
  dialog(`${label}: ${meant.length}`, [el("p", {}, means), el("label", { htmlFor: "why" }, "Why (kept in the history of each saga)"), why], async () => {
    const job = await begin(verb, sagas, why.value, key);
    const box = el("div", { data: { key: job } });
    answers.prepend(box);
    followed(job, label, box, meant, chosen, refresh, signal);
  }, label, () => `${label}: begun`);
}

async function followed(job, label, box, meant, chosen, refresh, signal) {
  try {
    const over = await follow(job, label, box, signal);
    const done = over.answers.filter((each) => each.outcome === "done");
    for (const each of meant) {
      if (done.some((answer) => answer.id === each.id && ["", each.path].includes(answer.path))) chosen.delete(keyOf(each));
    }
    await refresh();
  } catch (error) {
    if (!signal.aborted) box.append(el("p.problem", {}, `The job goes on, but this page does not hear of it: ${error.message}`));
  }
}
