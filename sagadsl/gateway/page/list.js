// All sagas, newest first, with how many stand how.

import { get } from "./api.js";
import { badge, el, fill, instant, say } from "./dom.js";

const EVERY = 3000;
const WORDS = ["running", "paused", "held", "completed", "rejected", "compensated", "failed", "cancelled", "timed_out", "terminated"];

export async function list(main, query, signal) {
  const asked = Object.fromEntries(new URLSearchParams(query));
  const counts = el("ul.counts", { aria: { label: "How many have each status" } });
  const rows = el("tbody");
  const empty = el("p.hint");
  const asOf = el("p.hint");
  const more = el("p");
  let pages = [];
  const go = (change) => {
    const next = new URLSearchParams(Object.entries({ ...asked, ...change }).filter(([, text]) => text));
    location.hash = `#/sagas${next.size ? `?${next}` : ""}`;
  };
  const search = el("form.search", { role: "search", onsubmit: (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    go({ id: form.get("id").trim(), name: form.get("name").trim(), where: form.get("where").trim() });
  } },
    el("label", {}, "Id begins with ", el("input", { type: "search", name: "id", value: asked.id ?? "" })),
    el("label", {}, "Name ", el("input", { type: "search", name: "name", value: asked.name ?? "", placeholder: "order or ord*" })),
    el("label", {}, "Where ", el("input", { type: "search", name: "where", value: asked.where ?? "", placeholder: 'OrderId = "42"' })),
    el("button", { type: "submit" }, "Search"));
  fill(main, el("h1", {}, "Sagas"), search, counts,
    el("div.wide", { tabindex: "0", role: "region", aria: { label: "Sagas" } }, el("table.sagas", {},
      el("thead", {}, el("tr", {}, ["State", "Id", "Saga", "Started", "Ended"].map((text) => el("th", { scope: "col" }, text)))),
      rows)), empty, asOf, more);

  const parameters = (more) => new URLSearchParams(
    Object.entries({ id: asked.id, name: asked.name, where: asked.where, ...more }).filter(([, text]) => text));
  const refresh = async () => {
    const [found, counted] = await Promise.all([
      get(`/sagas?${parameters({ status: asked.status, limit: "50" })}`, { signal }),
      get(`/counts?${parameters({})}`, { signal }),
    ]);
    fill(counts, WORDS.filter((word) => counted.counts[word] !== undefined).map((word) => el("li", {},
      el(`button.count.${word}`, {
        type: "button", data: { key: word }, aria: { pressed: String(asked.status === word) },
        onclick: () => go({ status: asked.status === word ? "" : word }),
      }, badge(word), ` ${counted.counts[word]}`))),
      counted.counts.unknown ? el("li.count", { title: "the server's index does not know their status" }, badge("unknown"), ` ${counted.counts.unknown}`) : null);
    show(found, pages);
  };
  const show = (first, older) => {
    const sagas = [first, ...older].flatMap((page) => page.sagas);
    fill(rows, sagas.map((saga) => el("tr", {},
      el("td", {}, badge(saga.status)),
      el("td", {}, el("a", { href: `#/sagas/${encodeURIComponent(saga.id)}${saga.taken_up_by ? `?run=${encodeURIComponent(saga.run_id)}` : ""}`, data: { key: saga.run_id } }, saga.id),
        saga.taken_up_by ? el("span.hint", {}, " taken up by a later run") : null),
      el("td", {}, `${saga.name} ${saga.version}`),
      el("td", { data: { label: "started " } }, instant(saga.started_at)),
      el("td", { data: { label: "ended " } }, saga.closed_at ? instant(saga.closed_at) : ""))));
    const untold = [first, ...older].reduce((sum, page) => sum + page.untold, 0);
    empty.textContent = [sagas.length ? "" : "No sagas. One that has just begun appears after a moment.",
      untold ? `${untold} more may be ${asked.status}: nobody knows.` : ""].filter(Boolean).join(" ");
    fill(asOf, "As of ", instant(first.as_of), " by the server's index, which lags a little behind; a saga's own page does not.");
    const next = (older.at(-1) ?? first).next_page;
    fill(more, next ? el("button", { type: "button", data: { key: "more" }, onclick: async () => {
      try {
        pages.push(await get(`/sagas?${parameters({ status: asked.status, limit: "50", page: next })}`, { signal }));
        show(first, pages);
      } catch (error) {
        if (!signal.aborted) say(error.message);
      }
    } }, "Older ones") : null);
  };
  await refresh();
  while (!signal.aborted) {
    await new Promise((resolve) => setTimeout(resolve, EVERY));
    if (!signal.aborted && !document.hidden && !pages.length) await refresh().catch(() => {});
  }
}
