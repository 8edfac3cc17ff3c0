"""A plan of `recover`, `redrive` or `reset` as lines for people. Pure: it gets the plan as JSON data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SHOWN = 20
_HEADS: Mapping[str, str] = {
    "undo": "what it has left is undone",
    "forward": "it goes on",
    "anew": "it begins anew, with its old input and with keys of its own",
}
_WORDS: Mapping[str, str] = {"undo": "undo", "do": "call", "probe": "ask"}


def lines(prospect: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a new run would do."""
    status = prospect["status"].replace("_", " ")
    yield f"{prospect['id']} is {status} (run {prospect['run_id']}): {_head(prospect)}"
    if prospect.get("stuck"):
        yield f"  first  terminate the run, which hangs: {prospect['stuck']}"
    for child in prospect["waits_for"]:
        yield f"  wait   until child saga {child} has ended"
    if prospect["not_before"]:
        yield f"  wait   until {prospect['not_before']}: an attempt of the closed run may last until then"
    yield from (f"  {_WORDS[each['what']]:<6} {each['call']} ({each['name']})" for each in prospect["calls"])
    yield from _listed("then", prospect["then"])
    yield from _listed("keep", prospect["kept"])
    yield from _listed("undone already", prospect["undone"])
    yield from _listed("unknown outcome", prospect["unknown"])
    if late := prospect["out_of_order"]:
        names = _named(late)
        yield f"  order: an older step was undone before, so {names} cannot be undone before it, as R10 asks"
    if prospect["how"] != "anew" and not prospect["calls"]:
        yield "  nothing is called"
    if prospect["ends_as"]:
        yield f"  if all goes well, it ends as {prospect['ends_as']}"


def reset_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a reset would do."""
    yield f"{plan['id']} can go back to `{plan['to']}`, and on from there"
    yield from _listed("stopped first", plan["stops"])
    yield from _listed("undone", plan["undo"])
    yield from _listed("done once more", plan["again"])


def _head(prospect: Mapping[str, Any]) -> str:
    if prospect.get("to"):
        return f"it goes back to `{prospect['to']}`, and on from there"
    return _HEADS[prospect["how"]]


def _listed(word: str, paths: Sequence[str]) -> Iterator[str]:
    if paths:
        yield f"  {word}: {_named(paths)}"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return f"{', '.join(paths[:_SHOWN])}{more}"
