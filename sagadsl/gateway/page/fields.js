// One field of a form, made from a part of a schema. What is typed becomes JSON here, and nothing else is sent.

import { el, fill, sentence } from "./dom.js";
import { parse, write } from "./json.js";

const KINDS = { date: "date", email: "email", uri: "url" };
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/;

/**
 * Returns the field of the property `key`. Its `read` returns JSON, or `undefined` for what is left out, and throws
 * an error with a `field` for what cannot be sent.
 */
export function field(key, schema, required) {
  const id = `field-${key}`;
  const shared = { id, name: key, aria: { describedby: `${id}-hint ${id}-problem`, required: String(required) } };
  const { input, read, empty } = control(schema, required, shared);
  const problem = el("span.problem", { id: `${id}-problem` });
  const canBeEmpty = required && empty !== undefined && schema.default === undefined;
  const meant = el("input", { type: "checkbox", id: `${id}-empty` });
  const way = el("label.empty", { htmlFor: `${id}-empty`, hidden: true }, meant, ` Send ${empty === '""' ? "an empty text" : "null"}`);
  const stop = (text) => {
    throw Object.assign(new Error(text), { field: made });
  };
  const made = {
    key, input, failed: false,
    node: el("div.field", {}, el("label", { htmlFor: id }, schema.title ?? key, required ? el("span.required", {}, " (needed)") : null),
      input, el("span.hint", { id: `${id}-hint` }, hints(schema)), problem, canBeEmpty ? way : null),
    read: () => {
      const found = read(stop);
      if (found !== undefined || !required || schema.default !== undefined) return found;
      if (meant.checked) return empty;
      way.hidden = !canBeEmpty;
      return stop("This is needed. Nothing was sent.");
    },
    complain: (text) => {
      made.failed = true;
      fill(problem, sentence(text));
      input.setAttribute("aria-invalid", "true");
    },
    clear: () => {
      made.failed = false;
      problem.textContent = "";
      input.removeAttribute("aria-invalid");
    },
  };
  return made;
}

/** Returns what is filled in; how it is read as JSON, `undefined` when empty; and which JSON stands for empty on purpose. */
function control(schema, required, shared) {
  const types = [schema.type ?? []].flat();
  const named = types.filter((type) => type !== "null");
  const type = named.length === 1 ? named[0] : "";
  const given = schema.default;
  const example = schema.examples?.[0];
  const empty = types.includes("null") ? "null" : undefined;
  const shown = (data) => (data === undefined || data === null ? "" : typeof data === "string" ? data : write(data));
  if (Array.isArray(schema.enum) || (type === "boolean" && required && given === undefined)) {
    const choices = (schema.enum ?? [true, false]).map((each) => write(each));
    const input = el("select", shared, el("option", { value: "" }, ""),
      choices.map((each) => el("option", { value: each, selected: given !== undefined && each === write(given) }, shown(parse(each)) || each)));
    return { input, read: () => input.value || undefined };
  }
  if (type === "boolean") {
    const input = el("input", { ...shared, type: "checkbox", checked: given === true });
    return { input, read: () => (input.checked || given !== undefined ? String(input.checked) : undefined) };
  }
  if (type === "integer" || type === "number") {
    const input = el("input", { ...shared, inputmode: type === "integer" ? "numeric" : "decimal", value: shown(given), placeholder: shown(example), autocomplete: "off" });
    return { input, empty, read: (stop) => {
      const text = input.value.trim();
      if (text === "") return undefined;
      return NUMBER.test(text) ? text : stop(`${text} is no number`);
    } };
  }
  if (type === "string") {
    const kind = schema.writeOnly ? "password" : KINDS[schema.format] ?? "text";
    const input = el("input", { ...shared, type: kind, value: shown(given), placeholder: shown(example), autocomplete: "off" });
    return { input, empty: empty ?? (schema.minLength > 0 || schema.format || schema.pattern ? undefined : '""'),
      read: (stop) => {
        if (input.validity.badInput) stop("This is not complete.");
        return input.value === "" ? undefined : JSON.stringify(input.value);
      } };
  }
  const input = el("textarea", { ...shared, rows: 4, spellcheck: "false", value: given === undefined ? "" : write(given, "  "),
    placeholder: example === undefined ? "JSON" : write(example) });
  return { input, read: (stop) => {
    const text = input.value.trim();
    if (text === "") return undefined;
    try {
      parse(text);
    } catch {
      stop("this is not JSON");
    }
    return text;
  } };
}

function hints(schema) {
  const sentences = [schema.description, schema.multipleOf === undefined ? null : `In steps of ${schema.multipleOf}.`,
    schema.default === undefined ? null : `Left empty, it is ${write(schema.default)}.`];
  return sentences.filter(Boolean).join(" ");
}
