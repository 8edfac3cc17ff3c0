"""``sagadsl plugins``: lists and shows the installed activities, and what does not work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from sagadsl.cli import screen
from sagadsl.cli.options import common, modules, output
from sagadsl.cli.streams import with_guests
from sagadsl.columns import table, whole, widths, wrap
from sagadsl.language.analysis.known import Signature
from sagadsl.language.suggest import counted
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginConflict, PluginUnknown, Problem, needs_extra
from sagadsl.reporting.schema_text import Key, example_step, properties, type_text

_CALL_WIDTH = 40
_WIDEST = 100


class NoSuchPackage(click.UsageError):
    """No installed package of that name offers activities; click gives usage errors exit code 2."""


@click.group(short_help="Show which activities are installed.", invoke_without_command=True)
@common
@click.pass_context
def plugins(ctx: click.Context) -> int | None:
    """Show which activities are installed.

    \b
    Examples:
      sagadsl plugins
      sagadsl plugins show bank.withdraw
      sagadsl plugins check acme-pay
    """
    return ctx.invoke(list_) if ctx.invoked_subcommand is None else None


@plugins.command("list", short_help="List every activity, with its package.")
@modules
@output("text", "json")
@common
def list_(module: Sequence[str] = ()) -> int:
    """List every activity with its input and its package, and what does not work.

    \b
    Examples:
      sagadsl plugins list
      sagadsl plugins list --json | jq -r '.activities[].name'
    """
    catalogue = Catalogue.discover(module)
    working, broken = _sorted_out(catalogue)
    screen.result(
        {
            "activities": [_summary(signature) for signature in working],
            "problems": [_problem(problem) for problem in broken],
        },
        _table(working, broken),
    )
    return 0


@plugins.command("show", short_help="Show one activity and a step that calls it.")
@click.argument("name")
@modules
@output("text", "json")
@common
def show(name: str, module: Sequence[str]) -> int:
    """Show what an activity takes, returns and raises, and a step to copy.

    \b
    Example:
      sagadsl plugins show bank.withdraw
    """
    catalogue = Catalogue.discover(module)
    signature = catalogue.signature(name)
    if not isinstance(signature, Signature):
        raise signature
    undo = catalogue.signature(signature.compensated_by) if signature.compensated_by else None
    known_undo = undo if isinstance(undo, Signature) else None
    step = example_step(signature, known_undo)
    screen.result(_everything(signature, step), _page(signature, step))
    return 0


@plugins.command("check", short_help="Check a package of activities as its author.")
@click.argument("package")
@output("text", "json")
@common
@with_guests
def check(package: str) -> int:
    """Import every activity of PACKAGE and check what it declares. Made for the author's CI.

    Exit code 0 if all is well, 1 if something is not, 2 if there is no such package.

    \b
    Example:
      sagadsl plugins check acme-pay
    """
    from sagadsl.cli.plugin_check import examine

    catalogue = Catalogue.discover()
    names = sorted({offer.distribution for offer in catalogue.offers})
    wanted = package.lower().replace("_", "-").replace(".", "-")
    if wanted not in names:
        raise NoSuchPackage(f"no package `{package}` offers activities; installed: {', '.join(names) or 'none'}")
    reports = examine(catalogue, wanted)
    failed = [report for report in reports if report.errors]
    document = [
        {"activity": report.name, "errors": list(report.errors), "warnings": list(report.warnings)}
        for report in reports
    ]
    lines = []
    for report in reports:
        lines.append(f"{'✗' if report.errors else '✓'} {report.name}")
        lines += [f"    error: {text}" for text in report.errors]
        lines += [f"    warning: {text}" for text in report.warnings]
    screen.result({"package": wanted, "activities": document}, "\n".join(lines))
    screen.note(f"{counted(len(reports), 'activity', 'activities')}, {len(failed)} with errors")
    return 1 if failed else 0


def _sorted_out(catalogue: Catalogue) -> tuple[list[Signature], list[Problem]]:
    working: list[Signature] = []
    broken: list[Problem] = []
    for plugin in catalogue.load_all():
        signature = catalogue.signature(plugin.name)
        if isinstance(signature, Signature):
            working.append(signature)
        else:
            broken.append(signature)
    return working, [*catalogue.problems, *broken]


def _table(working: Sequence[Signature], broken: Sequence[Problem]) -> str:
    rows = [(_call(signature), signature.package, _first_line(signature)) for signature in working]
    lines = table(rows, screen.width())
    lines += [f"{'-' if needs_extra(problem) else '✗'} {problem}" for problem in broken]
    packages = {signature.package for signature in working}
    total = f"{counted(len(working), 'activity', 'activities')} of {counted(len(packages), 'package', 'packages')}"
    if wrong := sum(not needs_extra(problem) for problem in broken):
        total += f", {counted(wrong, 'problem', 'problems')}"
    return "\n".join([*lines, total])


def _call(signature: Signature) -> str:
    keys = properties(signature.input_schema)
    inside = ", ".join(f"{key.name}{'' if key.required else '?'}" for key in keys)
    if len(signature.name) + len(inside) > _CALL_WIDTH:
        inside = ", ".join([*(key.name for key in keys if key.required), "…"])
    return f"{signature.name}({inside})"


def _first_line(signature: Signature) -> str:
    return signature.description.strip().split("\n", 1)[0]


def _summary(signature: Signature) -> dict[str, Any]:
    return {
        "name": signature.name,
        "package": signature.package,
        "description": signature.description,
        "input": signature.input_schema,
        "output": signature.output_schema,
        "errors": list(signature.errors),
        "compensated_by": signature.compensated_by,
        "idempotent": signature.idempotent,
        "timeouts": dict(signature.timeouts),
    }


def _everything(signature: Signature, step: str) -> dict[str, Any]:
    return {**_summary(signature), "examples": list(signature.examples), "step": step}


def _problem(problem: Problem) -> dict[str, Any]:
    document: dict[str, Any] = {"code": problem.code, "name": problem.name, "message": str(problem)}
    if isinstance(problem, PluginConflict):
        document["owners"] = list(problem.owners)
    elif not isinstance(problem, PluginUnknown):
        document["package"] = problem.package
    return document


def _page(signature: Signature, step: str) -> str:
    lines = [f"{signature.name}   {signature.package}"]
    lines += ["", *_reflowed(signature.description.strip(), screen.width())] if signature.description else []
    lines += _fields("input", signature.input_schema)
    lines += _fields("output", signature.output_schema)
    facts = {
        "errors": ", ".join(signature.errors),
        "undone by": signature.compensated_by or "",
        "timeouts": ", ".join(f"{name} {text}" for name, text in signature.timeouts.items()),
        "idempotent": {True: "yes", False: "no", None: ""}[signature.idempotent],
    }
    known = {name: text for name, text in facts.items() if text}
    lines += [""] if known else []
    widest = min(screen.width() or _WIDEST, _WIDEST)
    lines += [line for name, text in known.items() for line in wrap(text, widest, f"{name:<10}  ", " " * 12)]
    return "\n".join([*lines, "", "as a step", *(whole(f"  {line}") for line in step.splitlines())])


def _reflowed(text: str, width: int | None) -> Iterator[str]:
    """Yield a docstring for a screen: its paragraphs are broken anew, what is indented or listed stays as it is."""
    if width is None:
        yield text
        return
    for number, block in enumerate(text.split("\n\n")):
        lines = block.split("\n")
        is_prose = not any(line.startswith((" ", "-", "*", "|")) for line in lines)
        yield from [""] if number else []
        yield from wrap(" ".join(lines), width) if is_prose else lines


def _fields(title: str, schema: Any) -> list[str]:
    keys = properties(schema)
    if not keys:
        return ["", f"{title}  {type_text(schema)}"]
    rows = [(f"  {key.name}", key.type, _need(key, title), key.description) for key in keys]
    used = [number for number, wide in enumerate(widths(rows)) if wide or number == len(rows[0]) - 1]
    return ["", title, *table([[cells[number] for number in used] for cells in rows], screen.width())]


def _need(key: Key, title: str) -> str:
    if title == "output":
        return "" if key.required else "may be left out"
    if key.required:
        return "required"
    return f"default {key.default}" if key.default else "optional"
