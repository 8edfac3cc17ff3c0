// One saga: how it stands, what it did and with what data, what was undone, and what somebody can do.

import { ask, events, get, newKey, Refused } from "./api.js";
import { changes } from "./change.js";
import { badge, el, fill, instant, named, said, say, sentence, spell, stepsHead, value } from "./dom.js";
import { complaints, fieldsOf, pieced } from "./inputs.js";
import { parse } from "./json.js";
import { counted, oneByOne } from "./parts.js";
import { picture } from "./picture.js";
import { timeline } from "./timeline.js";
import { takeUp } from "./takeup.js";

export const VERBS = {
  retry: ["Retry", "What has failed is tried once more."],
  complete: ["Complete by hand", "You have done it by hand: it counts as done, and later steps read the output that you give."],
  skip: ["Skip", "What has failed is left as it is, and the saga goes on. A compensation that is skipped is reported as not undone."],
  abort: ["Abort", "The saga is given up. If a step waits, it fails and undoes what it has done. If a compensation waits, it leaves the rest as it is, and ends as failed."],
  pause: ["Pause", "No further step is started; what runs may end."],
  resume: ["Resume", "The saga goes on."],
  cancel: ["Cancel", "The saga stops, and what it has done is undone."],
};

/** Shows a saga and its changes, or an earlier run of it as it has ended. */
export async function detail(main, id, signal, run) {
  const parts = Object.fromEntries(["head", "attention", "explanation", "graph", "steps", "each", "timeline", "data", "actions"]
    .map((name) => [name, el(`section.${name}`)]));
  fill(main, Object.values(parts));
  const me = await get("/me", { signal });
  let last = null, tracing = null, again = null;
  const path = `/sagas/${encodeURIComponent(id)}`;
  const of = run ? `?run=${encodeURIComponent(run)}` : "";
  const drawing = picture(path, { run, signal, choose: (box) => toRow(parts.steps, box, last) });
  const tick = setInterval(() => last && times(parts, last), 1000);
  signal.addEventListener("abort", () => clearInterval(tick));

  const retrace = () => {
    clearTimeout(tracing);
    tracing = setTimeout(async () => {
      const isOver = Boolean(last) && !last.is_open; // what is asked before the end does not know the output
      const [trace, explanation] = await Promise.all(["trace", "explanation"].map((name) => get(`${path}/${name}${of}`, { signal }).catch(() => null)));
      if (explanation && last && !last.is_open) fill(parts.explanation, el("h2", {}, "What happened"), explanation.sentences.map((text) => el("p.explanation", {}, sentence(text))));
      if (trace) { timeline(parts.timeline, trace); data(parts.data, trace, isOver); }
    }, last ? 300 : 0);
  };
  const lost = () => parts.head.querySelector(".lost")?.replaceChildren("connection lost; trying again");
  for await (const found of run ? [await get(`${path}${of}`, { signal })] : events(`${path}/events`, "status", signal, lost)) {
    if (last && last.status !== found.status) say(`${found.id} is ${found.status}`);
    last = { ...found, received: Date.now() };
    head(parts.head, last, me, path, run);
    attention(parts.attention, last, path);
    if (!parts.graph.firstChild) fill(parts.graph, el("h2", {}, "Graph"), drawing.node);
    drawing.update();
    steps(parts.steps, last);
    if (last.left_out) again ? again() : again = oneByOne(parts.each, path, run);
    actions(parts.actions, last);
    retrace();
  }
}

function head(section, found, me, path, run) {
  document.title = `${found.status} · ${found.id}`;
  const web = me.web_ui ? el("a", { href: `${me.web_ui}/workflows/${encodeURIComponent(found.id)}`, rel: "noreferrer" }, "in Temporal's Web UI") : null;
  const verbs = !found.is_open ? [] : found.held ? ["cancel"] : found.paused ? ["resume", "cancel"] : found.status === "paused" ? ["cancel"] : ["pause", "cancel"];
  fill(section,
    el("h1", {}, el("span", {}, found.id), " ", badge(found.status)),
    el("p.hint", {}, `${found.name} ${found.version ?? ""}`, found.started_at ? [", started ", instant(found.started_at)] : null, " ", web),
    el("p.lost", { role: "status" }, sentence(found.trouble.join("; "))),
    found.takes_up ? el("p.hint.earlier", {}, earlier(found.actions), el("a", { href: `#${path}?run=${encodeURIComponent(found.takes_up)}` }, "an earlier run"), ".") : null,
    found.taken_up_by ? el("p.hint.later", {}, el("a", { href: `#${path}` }, "A later run"), " has taken up its work, or has begun anew after it.") : null,
    found.held ? el("p.hint", {}, "Release it with ", el("code", {}, found.release)) : null,
    found.failure ? el("p.failure", {}, found.failure.place ? `${found.failure.place}: ` : "", el("strong", {}, found.failure.type), ": ", sentence(found.failure.message),
      found.failure.step ? ` (step ${found.failure.step})` : "") : null,
    (found.other_errors ?? []).map((error) => el("p.failure.later", {}, sentence(`later: ${said(error)}${error.step ? ` (step ${error.step})` : ""}`))),
    counted(found.left_out ?? []).map(([step, numbers]) => el("p.hint", {}, `not shown one by one: ${step}: `,
      Object.entries(numbers).map(([word, number]) => `${number} ${word.replace("_", " ")}`).join(", "))),
    found.answer === undefined ? null : el("div.answer", {}, "Answered early: ", value(found.answer, "answer")),
    (found.warnings ?? []).map((warning) => el("p.failure.later", {}, sentence(`${warning.type}: ${warning.message}`))),
    el("p.buttons", {}, verbs.map((verb) => button(verb, path)), run ? null : changes(found, path), run ? null : takeUp(found, path)));
}

/** Say what a run has done with the one before it, as far as its own actions are known. */
function earlier(actions) {
  if (!actions) return "It has taken up the work of, or has begun anew after, ";
  return actions.some(({ verb }) => verb === "recover" || verb === "redrive") ? "It has taken up the work of " : "It has begun anew after ";
}

function button(verb, path, step, occurrence, undoes = false) {
  const [label] = VERBS[verb];
  return el("button", { type: "button", data: { key: `${verb} ${step ?? ""}` }, aria: step ? { label: `${label}: ${step}` } : {},
    onclick: () => confirm(verb, path, step, occurrence, undoes) }, label);
}

/** What waits for somebody: a decision, or a signal. */
function attention(section, found, path) {
  const waiting = Object.keys(found.waiting_for ?? {});
  const decisions = found.is_open ? found.attention ?? [] : [];
  const signals = found.is_open ? waiting : [];
  const children = (found.is_open ? found.children ?? [] : []).filter((each) =>
    each.paused || each.held || each.stuck || each.paused_calls || each.status === "unknown" || each.attention.length || Object.keys(each.waiting_for).length);
  fill(section, decisions.length || signals.length || children.length ? el("h2", {}, "Waits for you") : null,
    decisions.map((each) => el("div.decision", {},
      el("p", {}, el("strong", {}, each.path), sentence(` ${each.type}: ${each.message}${each.until ? `; waits until ${each.until}` : ""}`)),
      el("p.buttons", {}, ["retry", "complete", "skip"].map((verb) => button(verb, path, each.path, each.occurrence, each.undoes)), button("abort", path)))),
    signals.map((name) => awaited(name, path)), children.map((each) => child(each, path)),
    found.told.filter((each) => each.text).map((each) => el("p.hint.told", {}, sentence(each.text))));
}

function awaited(name, path, where = []) {
  return el("div.decision", {}, el("p", {}, where, "Signal ", el("strong", {}, name)),
    el("p.buttons", {}, el("button", { type: "button", data: { key: `signal ${path} ${name}` }, onclick: () => sendSignal(name, path) }, "Send")));
}

/** What waits in a child saga: operators reach it through its parent, signals go to itself. */
function child(found, path) {
  const own = `/sagas/${encodeURIComponent(found.id)}`;
  const where = () => [el("a", { href: `#${own}` }, found.path), " → "];
  const held = found.paused && !found.attention.length;
  return [
    found.attention.map((each) => el("div.decision", {},
      el("p", {}, where(), el("strong", {}, each.path), sentence(` ${each.type}: ${each.message}`)),
      el("p.buttons", {}, ["retry", "complete", "skip"].map((verb) => button(verb, path, each.target, each.occurrence, each.undoes)), button("abort", path, found.path)))),
    held ? el("div.decision", {}, el("p", {}, where(), "is paused"), el("p.buttons", {}, button("resume", path, found.path))) : [],
    Object.keys(found.waiting_for).map((name) => awaited(name, own, where())),
    found.held ? el("p.hint", {}, where(), "held by Temporal's own pause") : [],
    Object.keys(found.paused_calls ?? {}).map((call) => el("p.hint", {}, where(), `an operator has paused ${call}`)),
    found.stuck ? el("p.hint", {}, where(), `the worker cannot go on: ${found.stuck.message}`) : [],
    found.status === "unknown" ? el("p.hint", {}, where(), "nobody knows how it stands") : [],
  ];
}

/** Asks for a reason, and for what the decision gives; does it, and calls `then`. */
export function confirm(verb, path, step, occurrence, undoes, then = () => {}) {
  const [label, means] = VERBS[verb];
  const why = el("textarea", { id: "why", rows: 3, maxlength: "1000" });
  const asks = given(verb, undoes);
  const key = newKey(); // of this decision: however often it is sent, it counts once
  dialog(label, [el("p", {}, means), step ? el("p", {}, "Step: ", el("strong", {}, step)) : null,
    asks.fields, el("label", { htmlFor: "why" }, "Why (kept in the saga's history)"), why],
    async () => {
      done(await ask("POST", `${path}/${verb}`, { json: asks.into({ why: why.value, ...(step ? { step, ...(occurrence ? { occurrence } : {}) } : {}) }), "Idempotency-Key": key }));
      then();
    }, label);
}

const GIVEN = {
  retry: ["input", "Input as JSON; the same as before if left empty"],
  complete: ["output", "Output as JSON; null if there is none"],
  skip: ["output", "Output as JSON; null if left empty"],
};

/** What a decision may give: a value as JSON, which is sent exactly as it stands. What undoes a step has no output. */
function given(verb, undoes) {
  const [name, label] = GIVEN[verb] ?? [];
  if (!name || (name === "output" && undoes)) return { fields: [], into: JSON.stringify };
  const value = el("textarea", { id: "given", rows: 5, spellcheck: "false" });
  return {
    fields: [el("label", { htmlFor: "given" }, label), value],
    into: (body) => value.value.trim() ? `${JSON.stringify(body).slice(0, -1)},"${name}":${checked(value.value)}}` : JSON.stringify(body),
  };
}

/** A verb that goes down to child sagas may be done in some of them only. */
function done(answer) {
  const not = (answer.children ?? []).filter((each) => each.problem);
  if (not.length) throw new Error(`not done in ${not.map((each) => `${each.path}: ${each.problem}`).join("; ")}`);
}

/** Asks for the payload: with a field for each part that its schema names, or as JSON. */
async function sendSignal(name, path) {
  const { signals } = await get(`${path}/signals`).catch(() => ({ signals: [] }));
  const schema = signals.find((each) => each.signal === name)?.payload;
  const fields = schema ? fieldsOf(schema) : [];
  const payload = el("textarea", { id: "payload", rows: 5, spellcheck: "false" });
  const asJson = [el("label", { htmlFor: "payload" }, "Payload as JSON; none if left empty"), payload];
  const key = newKey();
  dialog(`Send ${name}`, fields.length ? [fields.map((each) => each.node), el("details", {}, el("summary", {}, "As JSON instead"), asJson)] : asJson, () => {
    for (const each of fields) each.clear();
    const json = payload.value.trim() ? checked(payload.value) : fields.length ? pieced(fields) : undefined;
    if (fields.length && json === undefined) return false; // a field says why
    return ask("POST", `${path}/signals/${encodeURIComponent(name)}`, { ...(json === undefined ? {} : { json }), "Idempotency-Key": key })
      .catch((error) => {
        if (!(error instanceof Refused)) throw error;
        const left = complaints(fields, error, name);
        fields.find((each) => each.failed)?.input.focus();
        throw fields.some((each) => each.failed) && !left.length ? new Error("Nothing was sent.") : error;
      });
  }, "Send", became);
}

/** Returns JSON exactly as it stands; throws `SyntaxError` when it is none. */
function checked(text) {
  parse(text);
  return text.trim();
}

/** What became of a signal. */
function became(sent) {
  if (sent.state === "taken") return `${sent.signal}: taken by ${sent.step}`;
  if (sent.state === "kept") return `${sent.signal}: kept, since nothing waits for it yet`;
  return `${sent.signal}: sent${sent.checked ? "" : " unchecked"}, not confirmed: nobody has said whether the saga takes it`;
}

export function dialog(title, content, act, label, report = () => `${label}: done`) {
  const problem = el("p.problem", { role: "alert" });
  const box = el("dialog", { aria: { labelledby: "dialog-title" }, onclose: () => box.remove() },
    el("form", { onsubmit: async (event) => {
      event.preventDefault();
      try {
        const answer = await act();
        if (answer === false) return;
        box.close();
        say(report(answer));
      } catch (error) {
        fill(problem, sentence(error instanceof SyntaxError ? `this is not JSON: ${error.message}`
          : error instanceof Refused ? error.told : String(error)));
      }
    } }, el("h2", { id: "dialog-title" }, title), content, problem,
      el("p.buttons", {}, el("button.primary", { type: "submit" }, label), el("button", { type: "button", onclick: () => box.close() }, "No"))));
  document.body.append(box);
  box.showModal();
}

const ROWS = 200;

/** The same lines as those of the command line: so many at first, and more when somebody asks. */
function steps(section, found) {
  const room = Number(section.dataset.room ?? ROWS);
  const shown = found.lines.slice(0, room);
  const more = found.lines.length > room ? el("p.buttons", {}, el("button", { type: "button", data: { key: "more steps" },
    onclick: () => { section.dataset.room = room + ROWS; steps(section, found); } }, `Show more: ${shown.length} of ${found.lines.length} are shown`)) : null;
  fill(section, el("h2", {}, "Steps"), el("div.wide", { tabindex: "0", role: "region", aria: { label: "Steps" } }, el("table.steps", {},
    stepsHead(),
    el("tbody", {}, shown.map((line) => el(`tr.${line.state}`, { tabindex: "-1", data: { box: line.box, key: `row ${line.key}` } }, named(line),
      el("td", {}, line.what),
      el("td.took", { data: { line: line.key } }),
      el("td.note", {}, sentence(line.note), el("span.wait", { data: { wait: line.key } }))))))), more);
  times({ steps: section }, found);
}

/** Goes to what the table says of a step: of its last round, if it has several. */
function toRow(section, box, found) {
  const place = found?.lines.findLastIndex((line) => line.box === box) ?? -1;
  if (place >= Number(section.dataset.room ?? ROWS)) {
    section.dataset.room = place + 1;
    steps(section, found);
  }
  const row = [...section.querySelectorAll(`tr[data-box="${CSS.escape(box)}"]`)].at(-1);
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "center" });
}

/** Lengths of time that go on while nothing else happens. */
function times(parts, found) {
  const passed = (Date.now() - found.received) / 1000;
  for (const line of found.lines) {
    const cell = parts.steps.querySelector(`[data-line="${CSS.escape(line.key)}"]`);
    if (cell) cell.textContent = line.seconds === null ? "" : spell(line.seconds + (line.is_open && found.is_open ? passed : 0));
    const wait = parts.steps.querySelector(`[data-wait="${CSS.escape(line.key)}"]`);
    if (wait) wait.textContent = line.wait === null || line.wait <= passed ? "" : ` (again in ${spell(line.wait - passed)})`;
  }
}

/** What was given, sent and got back. */
function data(section, trace, isOver) {
  fill(section, el("h2", {}, "Data"),
    el("dl", {}, el("dt", {}, "Input"), el("dd", {}, value(trace.input, "input")), isOver ? [el("dt", {}, "Output"), el("dd", {}, value(trace.output, "output"))] : []),
    trace.calls.map((call, index) => el("details.call", { data: { key: `call ${index}` } },
      el("summary", {}, badge(call.status === "timed_out" ? "failed" : call.status), ` ${call.path} · ${call.name}${call.attempts > 1 ? `, ${call.attempts} attempts` : ""}`),
      el("dl", {}, el("dt", {}, "Input"), el("dd", {}, value(call.input, `in ${index}`)), call.ended_at ? [el("dt", {}, "Output"), el("dd", {}, value(call.output, `out ${index}`))] : [],
        call.error ? [el("dt", {}, "Error"), el("dd", {}, sentence(said(call.error)))] : []))),
    trace.outside.length ? [el("h3", {}, "From outside"), el("ul", {}, trace.outside.map((each, index) => el("li", {}, instant(each.at), ` ${each.what.replace("_", " ")} ${each.name.replace(/_step$/, "")} `, value(each.data, `outside ${index}`),
      each.reply === undefined ? null : [" reply ", value(each.reply, `reply ${index}`)])))] : []);
}

/** Who stepped in, and which signals were not taken. */
function actions(section, found) {
  const done = found.actions ?? [], refused = found.refused_signals ?? [], kept = Object.entries(found.kept_signals ?? {});
  fill(section, refused.length || kept.length ? [el("h2", {}, "Signals"), el("ul", {},
    refused.map((each) => el("li", {}, instant(each.at), sentence(` ${each.signal} was refused: ${each.reason}`))),
    kept.map(([name, count]) => el("li", {}, `${name} is kept for a later wait${count > 1 ? `: ${count} of them` : ""}`)))] : [], done.length ? [el("h2", {}, "Stepped in"), el("ul", {}, done.map((each) =>
    el("li", {}, instant(each.at), ` ${each.verb.replace("_step", "")} ${each.path ?? ""} by ${each.by || "somebody"}${each.why ? `: ${each.why}` : ""}`)))] : []);
}
