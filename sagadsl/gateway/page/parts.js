// All steps of a saga that has too many to show at once: so many at a time, in their order.

import { get } from "./api.js";
import { el, fill, named, say, spell } from "./dom.js";

const PAGE = 100;

/** Offers the steps of a saga one by one; `run`: those of an earlier run. */
export function oneByOne(section, path, run) {
  const rows = el("tbody"), more = el("button", { type: "button", onclick: next }, "Show all steps in their order");
  const table = el("div.wide", { tabindex: "0", role: "region", aria: { label: "All steps" } }, el("table.steps", {}, rows));
  let after = "";

  async function next() {
    more.disabled = true;
    try {
      const of = run ? `&run=${encodeURIComponent(run)}` : "";
      const { lines, part } = await get(`${path}?limit=${PAGE}&after=${encodeURIComponent(after)}${of}`);
      if (!after) fill(section, el("h2", {}, "All steps"), table, el("p.buttons", {}, more));
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
