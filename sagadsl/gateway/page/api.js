// Talking to the gateway. The token, where one is wanted, lives as long as the tab.

import { parse } from "./json.js";

const KEY = "sagadsl-token";

export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? `status ${status}`);
    this.status = status;
    this.problem = problem;
  }

  /** What is wrong, and what to do about it if the gateway says so. */
  get told() {
    return `${this.message}${this.problem.help ? `; ${this.problem.help}` : ""}`;
  }
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

export function setToken(token) {
  if (token) sessionStorage.setItem(KEY, token);
  else sessionStorage.removeItem(KEY);
}

function headers(more = {}) {
  const token = sessionStorage.getItem(KEY);
  return { ...(token ? { Authorization: `Bearer ${token}` } : {}), ...more };
}

/**
 * Asks, and returns the answer as data; throws `Refused`.
 * Sends `json` as it stands, so that no number in it changes; or `body`, data of the page's own.
 */
export async function ask(method, path, options) {
  const text = await answered(method, path, options);
  return text ? parse(text) : {};
}

async function answered(method, path, { body, json = body && JSON.stringify(body), signal, ...more } = {}) {
  const content = json === undefined ? {} : { body: json };
  const type = json === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(path, { method, signal, headers: headers({ ...type, ...more }), ...content });
  const text = await answer.text(); // throws when the view is left, or the connection is lost, before all of it is there
  if (!answer.ok) throw new Refused(answer.status, problemIn(text));
  return text;
}

/** What a refusal says; a proxy's page of HTML says nothing. */
function problemIn(text) {
  try {
    return parse(text) ?? {};
  } catch {
    return {};
  }
}

export const get = (path, options) => ask("GET", path, options);

/** What an address sends, as it is; throws `Refused`. */
export const text = (path, options) => answered("GET", path, options);

/**
 * Yields what an address sends as events of one kind, until it says that all is over; comes back by itself when the
 * connection is lost.
 */
export async function* events(path, wanted, signal, onLost = () => {}) {
  let pause = 500;
  while (!signal.aborted) {
    try {
      const answer = await fetch(path, { headers: headers(), signal });
      if (!answer.ok) throw new Refused(answer.status, problemIn(await answer.text()));
      for await (const [kind, data] of pieces(answer.body)) {
        pause = 500;
        if (kind === "end") return;
        if (kind === wanted) yield parse(data);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status < 500 && error.status !== 429) throw error;
    }
    onLost();
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, 10000);
  }
}

async function* pieces(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("event")) yield [field("event"), field("data") ?? ""];
    }
  }
}

/** A key by which the same request is known again. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
