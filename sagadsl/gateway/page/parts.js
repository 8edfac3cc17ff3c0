// All steps of a saga that has too many to show at once: so many at a time, in their order.

import { get } from "./api.js";
import { el, fill, named, say, spell } from "./dom.js";

const PAGE = 100;
const KINDS = 20;

/** The steps that are only counted, with their numbers; very many different ones together. */
export function counted(leftOut) {
  if (leftOut.length <= KINDS) return leftOut.map(({ step, ...numbers }) => [step, numbers]);
  const together = {};
  for (const { step: _, ...numbers } of leftOut)
    for (const [word, number] of Object.entries(numbers)) together[word] = (together[word] ?? 0) + number;
  return [[`${leftOut.length} more steps`, together]];
}

/** Offers the steps of a saga one by one; `run`: those of an earlier run. */
export function oneByOne(section, path, run) {
  const rows = el("tbody"), more = el("button", { type: "button", onclick: next }, "Show the steps one by one");
  const table = el("div.wide", { tabindex: "0", role: "region", aria: { label: "Steps one by one" } }, el("table.steps", {}, rows));
  let after = "";

  async function next() {
    more.disabled = true;
    try {
      const of = run ? `&run=${encodeURIComponent(run)}` : "";
      const { lines, part } = await get(`${path}?limit=${PAGE}&after=${encodeURIComponent(after)}${of}`);
      if (!after) fill(section, el("h2", {}, "Steps one by one"), table, el("p.buttons", {}, more));
      rows.append(...lines.filter((line) => !line.undoes).map((line) => el(`tr.${line.state}`, {}, named(line),
        el("td", {}, line.what), el("td.took", {}, line.seconds === null ? "" : spell(line.seconds)), el("td.note", {}, line.note))));
      say(`${rows.children.length} of ${part.of} steps are shown`);
      after = part.next;
      more.textContent = `Show more: ${rows.children.length} of ${part.of} are shown`;
      if (after === null) more.remove();
    } catch (refused) {
      say(refused.message);
    } finally {
      more.disabled = false;
    }
  }
  fill(section, el("p.buttons", {}, more));
}
