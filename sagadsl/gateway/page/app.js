// Which address shows what. The page is one file of its own for each view, without a build.

import { get, hasToken, Refused, setToken } from "./api.js";
import { detail } from "./detail.js";
import { el, fill, sentence } from "./dom.js";
import { choose, form } from "./form.js";
import { incidents } from "./incidents.js";
import { list } from "./list.js";

const main = document.getElementById("main");
let leaving = new AbortController();

async function route() {
  leaving.abort();
  leaving = new AbortController();
  const signal = leaving.signal;
  const [path, query = ""] = location.hash.replace(/^#/, "").split("?");
  const [, first = "", rest = ""] = /^\/?([^/]*)\/?(.*)$/.exec(path);
  const view = first || (query ? "sagas" : "incidents"); // the list was at `#/?…` once
  document.title = "Sagas";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.dataset.nav === view;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  fill(main, el("p.hint", {}, "…"));
  try {
    await who(signal);
    if (first === "sagas" && rest) await detail(main, decodeURIComponent(rest), signal, new URLSearchParams(query).get("run"));
    else if (first === "start" && rest) await form(main, decodeURIComponent(rest), signal);
    else if (first === "start") await choose(main, "", signal);
    else if (view === "incidents") await incidents(main, query, signal);
    else await list(main, query, signal);
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof Refused && error.status === 401) login(error);
    else fill(main, el("h1", {}, "That did not work"), el("p", { role: "alert" }, error instanceof Refused ? sentence(error.message) : String(error)),
      error.problem?.help ? el("p.hint", {}, sentence(error.problem.help)) : null, el("p", {}, el("button", { type: "button", onclick: route }, "Try again")));
  }
}

async function who(signal) {
  const me = await get("/me", { signal });
  fill(document.getElementById("who"), me.is_known ? [`${me.name} `, el("button", { type: "button", onclick: () => { setToken(""); route(); } }, "Leave")] : []);
}

function login(error) {
  const token = el("input", { type: "password", id: "token", autocomplete: "off" });
  fill(main, el("h1", {}, "Who are you?"), el("form", { onsubmit: (event) => {
    event.preventDefault();
    setToken(token.value.trim());
    route();
  } }, el("p", {}, hasToken() ? error.message : "This gateway wants a token. It is kept as long as this tab is open."),
    el("label", { htmlFor: "token" }, "Token"), token, el("button.primary", { type: "submit" }, "Enter")));
  token.focus();
}

const THEME = "sagadsl-theme";
const paint = (theme) => (theme ? document.documentElement.setAttribute("data-theme", theme) : document.documentElement.removeAttribute("data-theme"));
paint(localStorage.getItem(THEME));
document.getElementById("theme").addEventListener("click", () => {
  const dark = (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  localStorage.setItem(THEME, dark ? "light" : "dark");
  paint(dark ? "light" : "dark");
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
addEventListener("hashchange", route);
route();
