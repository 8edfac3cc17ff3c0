// Fields for the data that a schema describes: the input of a saga, the payload of a signal.

import { el, fill, say } from "./dom.js";
import { field } from "./fields.js";
import { parse } from "./json.js";

/** Returns a field for each property of an object that `whole` describes; none for another kind of schema. */
export function fieldsOf(whole) {
  const schema = resolve(whole, whole);
  return schema && schema.properties && schema.type !== "array"
    ? Object.entries(schema.properties).map(([key, part]) => field(key, resolve(part, whole), (schema.required ?? []).includes(key)))
    : [];
}

/** Shows what was refused at the fields that it is about; `root` is how messages call the whole. Returns the rest. */
export function complaints(fields, error, root) {
  return (error.problem.errors ?? []).filter(({ path, reason }) => {
    const missing = /^`(.+)` is missing$/.exec(reason)?.[1];
    const found = fields.find((each) => path === `${root}.${each.key}` || path.startsWith(`${root}.${each.key}.`)
      || path.startsWith(`${root}.${each.key}[`) || (path === root && missing === each.key));
    found?.complain(reason);
    return !found;
  });
}

/** Returns the JSON of somebody's own, exactly as it stands; `undefined` when it is none. */
export function whole(text, problem) {
  try {
    parse(text);
    return text.trim();
  } catch (error) {
    fill(problem, el("p", {}, error.message));
    return undefined;
  }
}

/** Returns the JSON of all fields together; `undefined`, with a word at each of them, when some cannot be sent. */
export function pieced(fields) {
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
