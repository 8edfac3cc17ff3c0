// What can be done about a saga that has ended: the plan first, then a new run under the same id that carries it out.

import { ask } from "./api.js";
import { el, fill, sentence } from "./dom.js";
import { dialog } from "./detail.js";

const VERBS = {
  recover: ["Recover", { "": "Undo what it has done", forward: "Finish it" }],
  redrive: ["Redrive", { "": "What its end asks for", undo: "Undo what it has left", from: "Go back to a step, and on from there" }],
};
const ENDS = { terminated: "recover", timed_out: "recover", failed: "redrive", compensated: "redrive", cancelled: "redrive" };

/** The button for a saga whose newest run has ended; nothing for any other. */
export function takeUp(found, path) {
  const verb = found.is_open || found.taken_up_by ? undefined : ENDS[found.status];
  return verb ? el("button", { type: "button", data: { key: verb }, onclick: () => choose(verb, path) }, VERBS[verb][0]) : null;
}

function choose(verb, path) {
  const [label, ways] = VERBS[verb];
  const how = el("select", { id: "how" }, Object.entries(ways).map(([way, text]) => el("option", { value: way }, text)));
  const step = el("input", { id: "from", autocomplete: "off" });
  const where = el("p", { hidden: true }, el("label", { htmlFor: "from" }, "Step"), step);
  const plan = el("pre.plan", { role: "status" }, "…");
  const why = el("textarea", { id: "why", rows: 3, maxlength: "1000" });
  const body = (more) => ({ ...(how.value === "from" ? { from: step.value.trim() } : how.value ? { [how.value]: true } : {}), ...more });
  let shown = null;
  const look = async () => {
    where.hidden = how.value !== "from";
    shown = null;
    if (!where.hidden && !step.value.trim()) return fill(plan, "Name the step.");
    const asked = JSON.stringify(body());
    fill(plan, "…");
    try {
      const found = await ask("POST", `${path}/${verb}`, { body: body({ dry_run: true }) });
      if (asked !== JSON.stringify(body())) return; // another plan is asked for by now
      fill(plan, sentence(found.lines.join("\n")));
      shown = asked;
    } catch (error) {
      fill(plan, sentence(error.message));
    }
  };
  how.addEventListener("change", look);
  step.addEventListener("change", look);
  dialog(label, [el("label", { htmlFor: "how" }, "What shall be done"), how, where, el("h3", {}, "The plan"), plan,
    el("label", { htmlFor: "why" }, "Why (kept in the saga's history)"), why],
    async () => {
      if (shown !== JSON.stringify(body())) return look().then(() => false); // never what nobody has seen
      await ask("POST", `${path}/${verb}`, { body: body({ why: why.value }) });
      dispatchEvent(new Event("hashchange")); // the page follows the new run
    }, label, () => `${label}: a new run has begun`);
  look();
}
