// JSON without loss: a number that JavaScript would change stays as it is written.

/** A number that JavaScript would change. Reckons like a number, and shows every digit. */
export class Exact {
  constructor(text) {
    this.text = text;
  }

  valueOf() {
    return Number(this.text);
  }

  toString() {
    return this.text;
  }
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;
const NUMBER = "\\u0000n", TEXT = "\\u0000t"; // JSON spells this character in one way only

/** Returns what a text of JSON says; throws `SyntaxError`. */
export function parse(text) {
  const plain = JSON.parse(text);
  const marked = text.replace(TOKEN, (token, at) => {
    if (token[0] !== '"') return String(Number(token)) === token ? token : `"${NUMBER}${token}"`;
    if (!token.startsWith('"\\u0000') || /^\s*:/.test(text.slice(at + token.length))) return token;
    return `"${TEXT}${token.slice(1)}`;
  });
  if (marked === text) return plain;
  return JSON.parse(marked, (_, found) => {
    if (typeof found !== "string" || found[0] !== "\0") return found;
    return found[1] === "n" ? new Exact(found.slice(2)) : found.slice(2);
  });
}

/** Returns `data` as JSON, on lines of its own where there is a `step` to indent by. */
export function write(data, step = "", margin = "") {
  if (data instanceof Exact) return data.text;
  if (data === null || typeof data !== "object") return JSON.stringify(data);
  const parts = Array.isArray(data) ? data.map((each) => write(each, step, margin + step))
    : Object.entries(data).map(([key, each]) => `${JSON.stringify(key)}:${step && " "}${write(each, step, margin + step)}`);
  const [left, right] = Array.isArray(data) ? "[]" : "{}";
  if (!parts.length) return left + right;
  const line = step && `\n${margin}${step}`;
  return `${left}${line}${parts.join(`,${line}`)}${step && `\n${margin}`}${right}`;
}
