// All steps of a saga that has too many to show at once: so many at a time, in their order.

import { get } from "./api.js";
import { el, fill, named, say, sentence, spell, stepsHead } from "./dom.js";

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

/** Offers the steps of a saga one by one; `run`: those of an earlier run. Returns what draws the shown ones anew. */
export function oneByOne(section, path, run) {
  const rows = el("tbody"), more = el("button", { type: "button", onclick: next }, "Show the steps one by one");
  const table = el("div.wide", { tabindex: "0", role: "region", aria: { label: "Steps one by one" } }, el("table.steps", {}, stepsHead(), rows));
  const of = run ? `&run=${encodeURIComponent(run)}` : "";
  let after = "", asking = null, stale = false;

  async function page(behind) {
    const { lines, part } = await get(`${path}?limit=${PAGE}&after=${encodeURIComponent(behind)}${of}`);
    return [lines.filter((line) => !line.undoes).map((line) => el(`tr.${line.state}`, {}, named(line),
      el("td", {}, line.what), el("td.took", {}, line.seconds === null ? "" : spell(line.seconds)), el("td.note", {}, sentence(line.note)))), part];
  }

  /** Shows more; one question at a time, so that no page is drawn twice. */
  async function next() {
    if (asking) return;
    more.disabled = true;
    asking = page(after);
    try {
      const [found, part] = await asking;
      if (!rows.isConnected) fill(section, el("h2", {}, "Steps one by one"), table, el("p.buttons", {}, more));
      rows.append(...found);
      told(part);
    } catch (refused) {
      say(refused.message);
    } finally {
      asking = null;
      more.disabled = false;
    }
    if (stale) again();
  }

  function told(part) {
    say(`${rows.children.length} of ${part.of} steps are shown`);
    after = part.next;
    more.textContent = `Show more: ${rows.children.length} of ${part.of} are shown`;
    if (after === null) more.remove();
  }

  /** Draws the rows that are shown as they stand now. */
  async function again() {
    if (!rows.children.length) return;
    stale = Boolean(asking);
    if (asking) return;
    const drawn = [];
    let behind = "";
    asking = (async () => {
      while (behind !== null && drawn.length < rows.children.length) {
        const [found, part] = await page(behind);
        drawn.push(...found);
        behind = part.next;
      }
    })();
    try {
      await asking;
      rows.replaceChildren(...drawn);
    } catch {
      // the next change of the saga asks once more
    } finally {
      asking = null;
    }
    if (stale) again();
  }

  fill(section, el("p.buttons", {}, more));
  return again;
}
