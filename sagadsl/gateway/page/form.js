// Starting a saga: a form made from the schema of its input, or JSON as it is.

import { ask, get, newKey, Refused } from "./api.js";
import { el, fill, say } from "./dom.js";

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
    let input;
    try {
      input = raw.value.trim() ? JSON.parse(raw.value) : Object.assign({}, ...fields.map((each) => each.read()));
    } catch (error) {
      (error.field ?? { complain: (text) => fill(problem, el("p", {}, text)) }).complain(error.message);
      return;
    }
    try {
      const own = id.value.trim();
      const started = await ask("POST", `/sagas/${encodeURIComponent(name)}`,
        { body: input, ...(own ? { "Workflow-Id": own } : { "Idempotency-Key": `page-${key}-${hash(JSON.stringify(input))}` }) });
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

/** Follows references within a schema. */
function resolve(part, whole, depth = 0) {
  if (part && typeof part === "object" && typeof part.$ref === "string" && part.$ref.startsWith("#") && depth < 20) {
    const found = part.$ref.slice(1).split("/").filter(Boolean)
      .reduce((at, step) => at?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], whole);
    return resolve(found, whole, depth + 1);
  }
  return part === true || part === undefined ? {} : part;
}

function field(key, schema, required) {
  const id = `field-${key}`;
  const types = [schema.type ?? []].flat().filter((type) => type !== "null");
  const type = types.length === 1 ? types[0] : "";
  const shared = { id, name: key, aria: { describedby: `${id}-hint ${id}-problem`, required: String(required) } };
  const example = schema.examples?.[0] ?? schema.default;
  let input, read;
  if (Array.isArray(schema.enum)) {
    input = el("select", shared, required ? null : el("option", { value: "" }, ""),
      schema.enum.map((each) => el("option", { value: JSON.stringify(each), selected: each === schema.default }, String(each))));
    read = () => (input.value === "" ? undefined : JSON.parse(input.value));
  } else if (type === "boolean") {
    input = el("input", { ...shared, type: "checkbox", checked: schema.default === true });
    read = () => (input.checked || required || schema.default !== undefined ? input.checked : undefined);
  } else if (type === "integer" || type === "number") {
    input = el("input", { ...shared, inputmode: type === "integer" ? "numeric" : "decimal", value: String(schema.default ?? ""), placeholder: String(example ?? "") });
    read = () => {
      const text = input.value.trim();
      if (text === "") return undefined;
      if (!/^-?\d+(\.\d+)?([eE][-+]?\d+)?$/.test(text)) throw Object.assign(new Error(`${text} is no number`), { field: made });
      return Number(text);
    };
  } else if (type === "string") {
    const kind = { date: "date", email: "email", uri: "url" }[schema.format] ?? "text";
    input = el("input", { ...shared, type: schema.writeOnly ? "password" : kind, value: schema.default ?? "", placeholder: String(example ?? ""), autocomplete: "off" });
    read = () => (input.value === "" && !required ? undefined : input.value);
  } else {
    const given = schema.default ?? undefined;
    input = el("textarea", { ...shared, rows: 4, spellcheck: "false", value: given === undefined ? "" : JSON.stringify(given, null, 2),
      placeholder: example === undefined ? "JSON" : JSON.stringify(example) });
    read = () => {
      if (input.value.trim() === "") return undefined;
      try {
        return JSON.parse(input.value);
      } catch {
        throw Object.assign(new Error("this is not JSON"), { field: made });
      }
    };
  }
  const problem = el("span.problem", { id: `${id}-problem` });
  const made = {
    key, input, failed: false,
    node: el("div.field", {}, el("label", { htmlFor: id }, schema.title ?? key, required ? el("span.required", {}, " (needed)") : null),
      input, el("span.hint", { id: `${id}-hint` }, schema.description ?? ""), problem),
    read: () => {
      const found = read();
      return found === undefined ? {} : { [key]: found };
    },
    complain: (text) => {
      made.failed = true;
      problem.textContent = text;
      input.setAttribute("aria-invalid", "true");
      input.focus();
    },
    clear: () => {
      made.failed = false;
      problem.textContent = "";
      input.removeAttribute("aria-invalid");
    },
  };
  return made;
}

/** Not a secret: tells one input of this form from another, so that a corrected one is not taken for the first. */
function hash(text) {
  let found = 5381;
  for (const char of text) found = (found * 33 + char.codePointAt(0)) >>> 0;
  return found.toString(16);
}
