"""Shows an exploration as one page of HTML, which has no script, loads nothing, and escapes other people's text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from sagadsl.trial.explore.example import Example, as_yaml, since
from sagadsl.trial.explore.report import UNPLAYABLE, data, table, time
from sagadsl.trial.explore.run import Explored

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c0392b; --good: #1e8449; --soft: #8882 }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2rem }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 1rem; margin: 1rem 0 }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .8rem }
dt { font-size: .8rem; opacity: .75 } dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line) }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .8rem; overflow-x: auto; border-radius: .4rem }
.violation { border-left: 4px solid var(--bad); padding-left: 1rem; margin: 1.5rem 0 }
.end { display: inline-block; border: 1px solid var(--line); border-radius: 1rem }
.end { padding: 0 .6rem; margin-right: .3rem }
.failed { border-color: var(--bad); color: var(--bad) } .completed { border-color: var(--good); color: var(--good) }
ol { padding-left: 1.4rem } .fault { font-weight: 600 } .at { opacity: .7; font-variant-numeric: tabular-nums }
"""


def page(results: Sequence[tuple[Explored, Sequence[Example]]], most: int) -> str:
    """Return the page for one or more explored sagas."""
    head = '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>sagadsl explore</title>'
    meta = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    body = "\n".join(line for explored, shown in results for line in _saga(explored, shown, most))
    return f"{head}{meta}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"


def _saga(explored: Explored, shown: Sequence[Example], most: int) -> Iterator[str]:
    summary = explored.summary
    yield f"<h1>{escape(explored.saga.name)}</h1>"
    if explored.saga.description:
        yield f"<p>{escape(explored.saga.description)}</p>"
    yield "<dl>"
    for name, value in (
        ("faults in one run", str(most)),
        ("ways", f"{summary.runs:,}"),
        ("states", f"{summary.states:,}"),
        ("worst history", f"{summary.history:,} events"),
        ("longest way", time(summary.longest)),
        ("violations", str(len(shown))),
    ):
        yield f"<div><dt>{name}</dt><dd>{value}</dd></div>"
    yield "</dl>"
    ends = " ".join(_end(status, f": {number:,}") for status, number in summary.ends.most_common())
    yield f"<p>Ends: {ends}</p>"
    yield f"<p>Data: {escape(data(explored))}</p>"
    if summary.stays:
        kept = ", ".join(f"<code>{escape(each)}</code>" for each in sorted(summary.stays))
        yield f"<p>Stays although the saga went back, as it says: {kept}</p>"
    if explored.unreached:
        yield f"<p>Never reached: {', '.join(f'<code>{escape(each)}</code>' for each in explored.unreached)}</p>"
    if summary.left:
        yield f"<p class='failed'>Not covered: {summary.left:,} places and all that follows from them.</p>"
    for example in shown:
        yield from _violation(example)
    yield "<h2>One fault at a time</h2>"
    yield "<table><thead><tr><th>what happens</th><th>how the saga ends</th></tr></thead><tbody>"
    for fault, statuses in table(explored):
        yield f"<tr><td>{_marked(fault)}</td><td>{' '.join(map(_end, statuses))}</td></tr>"
    yield "</tbody></table>"


def _violation(example: Example) -> Iterator[str]:
    violation = example.violation
    where = f" at <code>{escape(violation.path)}</code>" if violation.path else ""
    yield f"<section class='violation'><h2>{escape(violation.kind)}{where}</h2>"
    yield f"<p>{_marked(violation.message)} ({escape(violation.rule)})</p><ol>"
    for move in violation.way:
        mark = " class='fault'" if move.cost else ""
        yield f"<li{mark}><span class='at'>{since(violation, move)}</span> {_marked(move.what)}</li>"
    yield "</ol>"
    if example.replayed:
        yield "<details><summary>as a case of a suite, which expects what comes of it now</summary>"
        yield f"<pre>{escape(as_yaml(example.case))}</pre></details>"
    else:
        yield f"<p>{UNPLAYABLE}</p>"
    yield "</section>"


def _end(status: str, more: str = "") -> str:
    return f"<span class='end {escape(status)}'>{escape(status)}{more}</span>"


def _marked(text: str) -> str:
    """Return text as HTML, with the parts in backticks as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if index % 2 else part for index, part in enumerate(parts))
