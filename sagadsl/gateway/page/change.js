// What changes an open saga as a whole: another definition, or the step at which it stands. What it means is told first.

import { ask, get } from "./api.js";
import { el, fill, sentence } from "./dom.js";
import { dialog } from "./detail.js";

/** The buttons for an open saga; nothing for any other, or for one that the server itself holds. */
export function changes(found, path) {
  if (!found.is_open || found.held) return null;
  return [
    el("button", { type: "button", data: { key: "reset" }, onclick: () => reset(found, path) }, "Go back to a step"),
    el("button", { type: "button", data: { key: "migrate" }, onclick: () => migrate(found, path) }, "Move to a new definition"),
  ];
}

const why = () => el("textarea", { id: "why", rows: 3, maxlength: "1000" });
const reason = (field) => [el("label", { htmlFor: "why" }, "Why (kept in the saga's history)"), field];

function reset(found, path) {
  const begun = (found.steps ?? []).filter((step) => step.started_at).map((step) => step.path);
  const step = el("select", { id: "step" }, begun.map((each) => el("option", { value: each }, each)));
  const plan = el("pre.plan", { role: "status" }, "…");
  const text = why();
  let shown = null;
  const look = async () => {
    const asked = step.value;
    shown = null;
    fill(plan, asked ? "…" : "No step has begun.");
    if (!asked) return;
    try {
      const told = await ask("POST", `${path}/reset`, { body: { step: asked, dry_run: true } });
      if (asked !== step.value) return; // another step is chosen by now
      fill(plan, sentence(told.lines.join("\n")));
      shown = asked;
    } catch (error) {
      if (asked === step.value) fill(plan, sentence(error.message));
    }
  };
  step.addEventListener("change", look);
  dialog("Go back to a step", [el("label", { htmlFor: "step" }, "The step that is done once more"), step, el("h3", {}, "The plan"), plan, reason(text)],
    async () => {
      if (shown === null || shown !== step.value) return look().then(() => false); // never what nobody has seen
      await ask("POST", `${path}/reset`, { body: { step: step.value, why: text.value } });
    }, "Go back", () => "The saga goes back.");
  look();
}

function migrate(found, path) {
  const told = el("pre.plan", { role: "status" }, "…");
  const text = why();
  let seen = null;
  const look = async () => {
    seen = null;
    try {
      const [judged, offered] = await Promise.all([
        ask("POST", `${path}/migrate`, { body: { dry_run: true } }), get(`/definitions/${encodeURIComponent(found.name)}`)]);
      const name = `${offered.name} ${offered.version}`.trim();
      if (judged.outcome === "already") return fill(told, `It has ${name} already, which is what the gateway has.`);
      const waits = judged.waits_for.length ? [`It waits until these calls have ended: ${judged.waits_for.join(", ")}`] : [];
      fill(told, sentence([`It can go on with ${name}.`, ...waits, ...judged.notes].join("\n")));
      seen = judged.digest;
    } catch (error) {
      fill(told, sentence(error.message));
    }
  };
  dialog("Move to a new definition", [el("p", {}, "The saga goes on with the definition that the gateway has now, and keeps all that it has done."),
    el("h3", {}, "What it means"), told, reason(text)],
    async () => {
      if (seen === null) return look().then(() => false); // nothing that was refused, and nothing that nobody has seen
      return ask("POST", `${path}/migrate`, { body: { digest: seen, why: text.value } });
    }, "Move", (done) => (done.outcome === "waits" ? `The saga moves when ${done.waits_for.join(", ")} has ended.` : "The saga goes on with the new definition."));
  look();
}
