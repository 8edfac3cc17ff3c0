// Starting a saga: a form made from the schema of its input, or JSON as it is.

import { ask, get, newKey, Refused } from "./api.js";
import { el, fill, say, sentence } from "./dom.js";
import { complaints, fieldsOf, pieced, whole } from "./inputs.js";
import { picture } from "./picture.js";

/** What may be started. */
export async function choose(main, _, signal) {
  const { definitions } = await get("/definitions", { signal });
  const startable = definitions.filter((each) => each.may_start);
  fill(main, el("h1", {}, "Start a saga"),
    startable.length ? el("ul.cards", {}, startable.map((each) => el("li", {},
      el("a", { href: `#/start/${encodeURIComponent(each.name)}` }, each.name), ` ${each.version}`,
      el("p.hint", {}, each.description)))) : el("p", {}, "This gateway offers no saga that you may start."));
}

/** The form of one saga. */
export async function form(main, name, signal) {
  const definition = await get(`/definitions/${encodeURIComponent(name)}`, { signal });
  const fields = fieldsOf(definition.input);
  const raw = el("textarea", { name: "raw", id: "raw", rows: 8, spellcheck: "false", value: fields.length ? "" : "{}" });
  const id = el("input", { name: "id", id: "own-id", autocomplete: "off" });
  const problem = el("div.problem", { role: "alert" });
  const key = newKey(); // pressed twice, it is one saga
  const submit = async (event) => {
    event.preventDefault();
    fill(problem);
    for (const each of fields) each.clear();
    const input = raw.value.trim() ? whole(raw.value, problem) : pieced(fields);
    if (input === undefined) return;
    try {
      const own = id.value.trim();
      const started = await ask("POST", `/sagas/${encodeURIComponent(name)}`,
        { json: input, ...(own ? { "Workflow-Id": own } : { "Idempotency-Key": `page-${key}-${hash(input)}` }) });
      location.hash = `#/sagas/${encodeURIComponent(started.id)}`;
    } catch (error) {
      if (!(error instanceof Refused)) return fill(problem, el("p", {}, `Nobody knows whether it began: ${error.message}. Pressed once more, it is still one saga.`));
      const left = complaints(fields, error, "input");
      fill(problem, el("p", {}, sentence(error.message)), el("ul", {}, left.map((each) => el("li", {}, sentence(`${each.path}: ${each.reason}`)))));
      say(error.message);
      (fields.find((each) => each.failed)?.input ?? raw).focus();
    }
  };
  const drawing = picture(`/definitions/${encodeURIComponent(name)}`, { signal });
  fill(main, el("h1", {}, `Start ${name}`), el("p.hint", {}, definition.description),
    el("details", { ontoggle: (event) => event.target.open && drawing.update() }, el("summary", {}, "What it does"), drawing.node),
    el("form.start", { onsubmit: submit, novalidate: true },
      fields.map((each) => each.node),
      el("details", { open: !fields.length, data: { key: "raw" } }, el("summary", {}, fields.length ? "As JSON instead" : "Input, as JSON"),
        el("label", { htmlFor: "raw" }, "Input"), raw),
      el("details", { data: { key: "id" } }, el("summary", {}, "An id of your own"), el("label", { htmlFor: "own-id" }, "Id"), id),
      problem, el("button.primary", { type: "submit" }, "Start")));
}

/** Not a secret: tells one input of this form from another, so that a corrected one is not taken for the first. */
function hash(text) {
  let found = 5381;
  for (const char of text) found = (found * 33 + char.codePointAt(0)) >>> 0;
  return found.toString(16);
}
