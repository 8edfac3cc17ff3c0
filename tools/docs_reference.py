"""The pages of the site that are generated from the code: commands, codes, keys of a definition, addresses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from sagadsl.cli.commands import SECTIONS
from sagadsl.diagnostics.codes import CODES
from sagadsl.drawing.svg import svg
from sagadsl.drawing.tree import tree
from sagadsl.gateway.openapi import document
from sagadsl.language.load import load_many

ROOT = Path(__file__).resolve().parents[1]
_SCHEMA = ROOT / "schemas" / "saga.schema.json"


def pages() -> dict[str, str]:
    """Return the text of each generated page, by its name in the site."""
    return {
        f"reference/{name}.md": "".join(lines)
        for name, lines in (
            ("commands", _commands()),
            ("codes", _codes()),
            ("schema", _keys()),
            ("gateway", _addresses()),
            ("decisions", _decisions()),
        )
    }


def picture(path: Path) -> tuple[str, str]:
    """Return the title of a definition, and its picture."""
    (loaded,) = load_many([path])
    assert loaded.saga is not None, path
    drawn = tree(loaded.saga)
    return drawn.title, svg(drawn)


def _commands() -> Iterator[str]:
    yield "# Commands\n\nWhat `sagadsl COMMAND --help` says of each command. "
    yield "[Commands explained](../cli.md) has examples and exit codes.\n"
    for section, entries in SECTIONS.items():
        yield f"\n## {section}\n"
        for name, entry in entries.items():
            module, _, attribute = entry.target.partition(":")
            command: click.Command = getattr(import_module(f"sagadsl.cli.{module}"), attribute)
            yield from _command(command, f"sagadsl {name}")


def _command(command: click.Command, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, max_content_width=100)
    yield f"\n### {name}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            inside = command.get_command(context, each)
            if inside is not None and not inside.hidden:
                yield from _command(inside, f"{name} {each}")


def _codes() -> Iterator[str]:
    yield "# Codes\n\nEvery message has a stable code. `sagadsl explain CODE` shows its page in the terminal.\n\n"
    yield "| code | what is wrong | severity |\n|---|---|---|\n"
    for code in CODES.values():
        yield f"| [{code.code}](../diagnostics/{code.code}.md) | {_cell(code.title)} | {code.severity.value} |\n"


def _keys() -> Iterator[str]:
    """Yield a table for each part of the schema of definitions."""
    schema: dict[str, Any] = json.loads(_SCHEMA.read_text(encoding="utf-8"))
    yield "# Keys of a definition\n\nFrom the JSON Schema that `sagadsl schema` prints. "
    yield "[The language](../language.md) explains them.\n"
    yield from _table("A definition", schema)
    for name, part in schema.get("$defs", {}).items():
        yield from _table(name.replace("_", " "), part)


def _table(title: str, part: Mapping[str, Any]) -> Iterator[str]:
    keys = {key: each for key, each in part.get("properties", {}).items() if isinstance(each, dict)}
    if not keys:
        return
    yield f"\n## {title[0].upper()}{title[1:]}\n\n{_cell(part.get('description', ''))}\n\n"
    yield "| key | form | what it says |\n|---|---|---|\n"
    for key, each in keys.items():
        needed = " (required)" if key in part.get("required", ()) else ""
        yield f"| `{key}`{needed} | {_form(each)} | {_cell(each.get('description', ''))} |\n"


def _form(each: Mapping[str, Any]) -> str:
    if "$ref" in each:
        return str(each["$ref"]).rpartition("/")[2].replace("_", " ")
    if "const" in each:
        return f"`{json.dumps(each['const'])}`"
    if "enum" in each:
        return ", ".join(f"`{value}`" for value in each["enum"])
    for several in ("oneOf", "anyOf"):
        if several in each:
            return " or ".join(dict.fromkeys(filter(None, map(_form, each[several]))))
    found = each.get("type", "")
    return " or ".join(found) if isinstance(found, list) else str(found)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _addresses() -> Iterator[str]:
    yield "# Addresses of the gateway\n\nFrom the description that a gateway gives under `/openapi.json`. "
    yield "[The gateway](../gateway.md) explains them.\n\n"
    yield "| address | what it does | query |\n|---|---|---|\n"
    described = document([])
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            named = (_parameter(described, each) for each in operation.get("parameters", ()))
            query = ", ".join(f"`{each['name']}`" for each in named if each["in"] == "query")
            yield f"| `{method.upper()} {path}` | {_cell(operation['summary'])} | {query} |\n"


def _parameter(described: Mapping[str, Any], parameter: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in parameter:
        return parameter
    found: Mapping[str, Any] = described["components"]["parameters"][str(parameter["$ref"]).rpartition("/")[2]]
    return found


def _decisions() -> Iterator[str]:
    yield "# Decisions\n\nWhat was decided, and why.\n\n"
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        title = re.sub(r"^#\s*", "", path.read_text(encoding="utf-8").splitlines()[0])
        yield f"- [{title}](../decisions/{path.name})\n"
