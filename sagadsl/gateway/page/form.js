// Starting a saga: a form made from the schema of its input, or JSON as it is.

import { ask, get, newKey, Refused } from "./api.js";
import { el, fill, say } from "./dom.js";
import { field } from "./fields.js";
import { parse } from "./json.js";

/** What may be started. */
export async function choose(main, _, signal) {
  const { definitions } = await get("/definitions", { signal });
  const startable = definitions.filter((each) => each.may_start);
  fill(main, el("h1", {}, "Start a saga"),
    startable.length ? el("ul.cards", {}, startable.map((each) => el("li", {},
      el("a", { href: `#/start/${encodeURIComponent(each.name)}` }, each.name), ` ${each.version}`,
      el("p.hint", {}, each.description)))) : el("p", {}, "This gateway offers none that you may start."));
}

/** The form of one saga. */
export async function form(main, name, signal) {
  const definition = await get(`/definitions/${encodeURIComponent(name)}`, { signal });
  const schema = resolve(definition.input, definition.input);
  const fields = schema && schema.properties && schema.type !== "array"
    ? Object.entries(schema.properties).map(([key, part]) => field(key, resolve(part, definition.input), (schema.required ?? []).includes(key)))
    : [];
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
      if (!(error instanceof Refused)) throw error;
      const left = (error.problem.errors ?? []).filter(({ path, reason }) => {
        const missing = /^'([^']+)' is a required property/.exec(reason)?.[1];
        const found = fields.find((each) => path === `input.${each.key}` || path.startsWith(`input.${each.key}.`)
          || path.startsWith(`input.${each.key}[`) || (path === "input" && missing === each.key));
        found?.complain(reason);
        return !found;
      });
      fill(problem, el("p", {}, error.message), el("ul", {}, left.map((each) => el("li", {}, `${each.path}: ${each.reason}`))));
      say(error.message);
      (fields.find((each) => each.failed)?.input ?? raw).focus();
    }
  };
  fill(main, el("h1", {}, `Start ${name}`), el("p.hint", {}, definition.description),
    el("form.start", { onsubmit: submit, novalidate: true },
      fields.map((each) => each.node),
      el("details", { open: !fields.length, data: { key: "raw" } }, el("summary", {}, fields.length ? "As JSON instead" : "Input, as JSON"),
        el("label", { htmlFor: "raw" }, "Input"), raw),
      el("details", { data: { key: "id" } }, el("summary", {}, "An id of your own"), el("label", { htmlFor: "own-id" }, "Id"), id),
      problem, el("button.primary", { type: "submit" }, "Start")));
}

/** Returns the JSON of somebody's own, exactly as it stands; `undefined` when it is none. */
function whole(text, problem) {
  try {
    parse(text);
    return text.trim();
  } catch (error) {
    fill(problem, el("p", {}, error.message));
    return undefined;
  }
}

/** Returns the JSON of all fields together; `undefined`, with a word at each of them, when some cannot be sent. */
function pieced(fields) {
  const pieces = [];
  for (const each of fields) {
    try {
      const json = each.read();
      if (json !== undefined) pieces.push(`${JSON.stringify(each.key)}:${json}`);
    } catch (error) {
      if (!error.field) throw error;
      each.complain(error.message);
    }
  }
  const wrong = fields.find((each) => each.failed);
  if (!wrong) return `{${pieces.join(",")}}`;
  wrong.input.focus();
  say(wrong.input.labels[0].textContent);
  return undefined;
}

/** Follows references within a schema. */
function resolve(part, whole, depth = 0) {
  if (part && typeof part === "object" && typeof part.$ref === "string" && part.$ref.startsWith("#") && depth < 20) {
    const found = part.$ref.slice(1).split("/").filter(Boolean)
      .reduce((at, step) => at?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], whole);
    return resolve(found, whole, depth + 1);
  }
  return part === true || part === undefined ? {} : part;
}

/** Not a secret: tells one input of this form from another, so that a corrected one is not taken for the first. */
function hash(text) {
  let found = 5381;
  for (const char of text) found = (found * 33 + char.codePointAt(0)) >>> 0;
  return found.toString(16);
}
