"""``sagadsl diff``: what a change of a definition means for open runs, and for whoever calls the saga."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from sagadsl.changes.comparison import About, Change, Comparison, Impact, as_json, compare
from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, by_version, load_definitions, one_name_each, the_one
from sagadsl.cli.files import STDIN, exists, is_file, is_folder, near_file
from sagadsl.cli.installed import Installed
from sagadsl.cli.options import common, modules, no_plugins, output
from sagadsl.cli.streams import out
from sagadsl.columns import padded
from sagadsl.language.analysis.known import Known
from sagadsl.language.loaded import Loaded
from sagadsl.language.versions import of_version
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue

_COLORS = {Impact.SAFE: "green", Impact.SOME: "yellow", Impact.BREAKS: "red"}


@click.command(short_help="Say what a change means for open runs and for callers.")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--strict", is_flag=True, help="Exit with 1 also when only some runs or callers are concerned.")
@output("text", "json")
@no_plugins("take the outputs of activities for unknown")
@modules
@common
def diff(*, old: str, new: str, strict: bool, no_plugins: bool, module: Sequence[str]) -> int:
    """Say what the change from one definition to another means for open runs and for callers.

    OLD and NEW are files (FILE#NAME if one has several sagas), of which one may be `-` for
    standard input, or two folders, whose sagas are compared by name. Open runs are judged as
    `migrate` judges them: can a run that stands at a step go on as NEW? Callers send input and
    signals, and read the output, queries, search attributes and the early answer.

    Words: safe (nobody has to do anything), some (some runs or some values), breaks.

    Exit code: 0 nothing breaks, 1 something does, or a definition is wrong, 2 the command is
    wrong, 3 the environment is.

    \b
    Examples:
      sagadsl diff order.v1.saga.yaml order.saga.yaml
      git show HEAD:order.saga.yaml | sagadsl diff - order.saga.yaml --json
      sagadsl diff released/definitions definitions --strict
    """
    catalogue = None if no_plugins else Catalogue.discover(module, cache=Cache.open())
    known = Known(activities=None if catalogue is None else Installed(catalogue))
    worst = (Impact.BREAKS, Impact.SOME) if strict else (Impact.BREAKS,)
    if is_folder(old) and is_folder(new):
        return _folders(old, new, known, worst)
    for path in (old, new):
        if path != STDIN and not is_file(path):
            if not exists(path) and (hint := near_file(path)):
                raise click.UsageError(f"there is no file `{path}`; {hint}")
            raise click.UsageError(f"`{path}` is no file; `diff` compares two files, or two folders")
    sides = [_loaded(path) for path in (old, new)]
    if wrong := next((each for each in sides if not each.are_usable), None):
        wrong.show()
        return wrong.exit_code
    before, after = _pair(sides[0], sides[1], old, new)
    found = _compared(before, after, known)
    screen.result(_document(before, after, found), _page(before, after, found))
    return 1 if found.level in worst else 0


def _loaded(path: str) -> Definitions:
    return load_definitions((path,))  # an activity that is not installed here matters to nobody else


def _compared(before: Loaded, after: Loaded, known: Known) -> Comparison:
    from sagadsl.language.load import beside

    assert before.saga is not None
    assert after.saga is not None
    if after.document.address != STDIN:
        known = beside(after.document.address, after.document.text, known)
    return compare(before.saga, after.saga, known)


def _folders(old: str, new: str, known: Known, worst: Sequence[Impact]) -> int:
    """Compare the definitions of two folders by their names; whoever starts one that is gone breaks.

    A name alone means the newest version, as for workers; an older one beside it has a name of its own.
    """
    sides = [_loaded(path) for path in (old, new)]
    if wrong := next((each for each in sides if not each.are_usable), None):
        wrong.show()
        return wrong.exit_code
    for each in sides:
        one_name_each(each, versions=True)
    before, after = (by_version(each) for each in sides)
    gone, added = _only_in(before, after), _only_in(after, before)
    pairs = [(before[name], after[name]) for name in sorted(before.keys() & after.keys())]
    found = [(one, other, _compared(one, other, known)) for one, other in pairs]
    changed = [each for each in found if _differ(each[0], each[1])]
    levels = [comparison.level for _, _, comparison in found] + [Impact.BREAKS] * len(gone)
    level = max(levels, key=list(Impact).index, default=Impact.SAFE)
    lines = [f"{name}: {_colored(Impact.BREAKS, 'breaks')}: it is gone, and nobody can start it" for name in gone]
    lines += [f"{name}: {_colored(Impact.SAFE, 'safe')}: it is new" for name in added]
    pages = ["\n".join(lines)] if lines else []
    pages += [_page(one, other, comparison) for one, other, comparison in changed]
    same = len(found) - len(changed)
    pages += [f"{same} unchanged"] if same else []
    document = {
        "level": level.value,
        "removed": gone,
        "added": added,
        "sagas": [_document(one, other, comparison) for one, other, comparison in found],
    }
    screen.result(document, "\n\n".join(pages))
    return 1 if level in worst else 0


def _only_in(one: Mapping[str, Loaded], other: Mapping[str, Loaded]) -> list[str]:
    """Return the names in *one* that mean no saga of *other*, where the newest is also `NAME@VERSION`."""
    full = {of_version(each.saga.name, each.saga.version) for each in other.values() if each.saga is not None}
    return sorted(one.keys() - other.keys() - full)


def _differ(before: Loaded, after: Loaded) -> bool:
    assert before.saga is not None
    assert after.saga is not None
    return before.saga.digest != after.saga.digest


def _pair(before: Definitions, after: Definitions, old: str, new: str) -> tuple[Loaded, Loaded]:
    """Return the two sagas to compare; of a file with several, the one with the name of the other side's."""
    if len(before.files) == 1 and after.files[1:]:
        return before.files[0], _named_like(before.files[0], after, new)
    if len(after.files) == 1 and before.files[1:]:
        return _named_like(after.files[0], before, old), after.files[0]
    return the_one(before, old, "`diff` compares one"), the_one(after, new, "`diff` compares one")


def _named_like(other: Loaded, several: Definitions, written: str) -> Loaded:
    named = [each for each in several.files if each.saga and other.saga and each.saga.name == other.saga.name]
    return named[0] if named else the_one(several, written, "`diff` compares one")


def line_of(loaded: Loaded, change: Change) -> int | None:
    """Return the line of a change in the new file; ``None`` when it has no place there."""
    if change.route is None:
        return None
    document = loaded.document
    return document.spans[document.nearest(change.route)].line


def _document(before: Loaded, after: Loaded, found: Comparison) -> dict[str, object]:
    sides = {}
    for word, loaded in (("old", before), ("new", after)):
        assert loaded.saga is not None
        saga = loaded.saga
        sides[word] = {
            "file": loaded.document.name,
            "saga": saga.name,
            "version": saga.version,
            "digest": saga.digest,
        }
    changes = [as_json(each, line_of(after, each)) for each in found.changes]
    return {**sides, "level": found.level.value, "changes": changes}


def _page(before: Loaded, after: Loaded, found: Comparison) -> str:
    assert before.saga is not None
    assert after.saga is not None
    one, other = before.saga, after.saga
    names = one.name if one.name == other.name else f"{one.name} -> {other.name}"
    versions = f"{one.version or '(no version)'} -> {other.version or '(no version)'}"
    if not found.changes:
        same = "the same definition" if one.digest == other.digest else "nothing that matters to open runs or callers"
        return f"{names} {versions}: {same}"
    lines = [f"{names} {versions}: {_colored(found.level, found.level.value)}"]
    if one.version == other.version:
        lines.append("both have the same version: lists and pages cannot tell them apart")
    for about in About:
        changes = found.of(about)
        if changes:
            lines += ["", about.value, *(_line(after, each) for each in changes)]
    return "\n".join(lines)


def _line(after: Loaded, change: Change) -> str:
    line = line_of(after, change)
    place = "" if line is None else f"  ({after.document.name}:{line})"
    return f"  {padded(_colored(change.level, change.level.value), 6)}  {change.message}{place}"


def _colored(level: Impact, text: str) -> str:
    color = screen.wants_color(out(), screen.session().color)
    return click.style(text, fg=_COLORS[level]) if color else text
