// One request to many sagas: begun as a job, which goes on also when this page is closed; followed until it is over.

import { ask, events, get, newKey } from "./api.js";
import { el, fill, say } from "./dom.js";

const ENDS = { done: "", cancelled: "stopped; ", failed: "ended by somebody; " };

/** Begins a job, and returns its id. The same call with the same key begins one job. */
export async function begin(verb, sagas, why, key = newKey()) {
  const begun = await ask("POST", "/jobs", { body: { verb, sagas, with: { why } }, "Idempotency-Key": key });
  return begun.id;
}

/** Shows how far a job is, until it is over or the view is left; returns the job with every answer. */
export async function follow(id, label, box, signal) {
  const path = `/jobs/${encodeURIComponent(id)}`;
  const bar = el("progress", { aria: { label } });
  const stand = el("span");
  const problems = el("ul");
  const stop = el("button", { type: "button", onclick: () => ask("POST", `${path}/cancel`).catch((error) => say(error.message)) }, "Stop");
  fill(box, el("p", {}, bar, stand, " ", stop), problems);
  const show = (job) => {
    bar.max = job.asked;
    bar.value = job.asked - job.left;
    const not = [job.refused ? `${job.refused} refused` : "", job.unknown ? `${job.unknown} not known to be done` : ""].filter(Boolean);
    stand.textContent = ` ${label}: ${ENDS[job.state] ?? ""}${[`${job.done} of ${job.asked} done`, ...not].join(", ")}`;
    fill(problems, job.problems.map((each) => el("li.problem", {}, `${each.id} ${each.path}: ${each.message ?? "not confirmed"}`)));
  };
  for await (const job of events(`${path}/events`, "progress", signal)) show(job);
  const over = await get(`${path}?answers=true`, { signal });
  show(over);
  stop.remove();
  say(stand.textContent);
  return over;
}
