"""The options by which a command goes to many sagas, and how it does: preview, question, progress, results.

A command that is given a choice (`--name`, `--status`, `--query`, `--error`) instead of an id asks every saga that is
meant. It shows first how many they are. With `--results FILE` each answer is kept as one line of JSON; a second run
with the same file leaves out what is done, and repeats a request with its id, so that it counts once.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from sagadsl.cli import screen
from sagadsl.cli.fitted import width_of
from sagadsl.cli.near_names import note_near_name
from sagadsl.cli.options import with_options
from sagadsl.columns import whole
from sagadsl.errors import SagadslError, reason_of
from sagadsl.immutable import Immutable
from sagadsl.status.lines import OPEN_BY_ITSELF, one_line

if TYPE_CHECKING:
    from temporalio.client import Client

    from sagadsl.temporal.ask.many import Addressee, Answered, Choice
    from sagadsl.temporal.read.filters import Chosen

P = ParamSpec("P")
R = TypeVar("R")

_EXAMPLES = 10
_BAR_NEEDS = 60
"""How many columns a bar of the usual length needs with its numbers."""
_PROBLEMS = 5
_MOST = 10_000
"""How many sagas one command looks at; a second run goes on."""

_RATE = 20.0


class Selection(Immutable):
    """Which sagas a command is for, and how fast it goes.

    Attributes:
        rate: How many sagas are asked in a second.
        results: The file that keeps the answers; empty for none.
        yes: Do not ask before.
    """

    name: str = ""
    status: str = ""
    query: str = ""
    error: str = ""
    rate: float = _RATE
    results: str = ""
    yes: bool = False

    @property
    def is_made(self) -> bool:
        """Whether the command is for many sagas."""
        return bool(self.name or self.status or self.query or self.error)


def chosen(selection: Selection) -> Chosen:
    """Return the selection as lists choose."""
    from sagadsl.temporal.read.filters import Chosen

    return Chosen(((selection.name,),) if selection.name else (), query=selection.query)


class ResultsUnusable(SagadslError):
    """The file of results cannot be read or written, or is of another command."""

    code = "SD975"
    exit_code = 2

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path, self.why = path, why

    def __str__(self) -> str:
        return f"`{self.path}` cannot keep the results: {self.why}"

    @property
    def help(self) -> str:
        return "name a new file with `--results`, or the file of an earlier run of the same command"


def many(
    command: Callable[..., R], *, statuses: Sequence[str] = OPEN_BY_ITSELF, error: str = "that wait because of"
) -> Callable[..., R]:
    """Add the options that choose many sagas; the command gets them as ``selection``.

    Args:
        statuses: What ``--status`` takes.
        error: Which sagas ``--error`` means, before *this error*.
    """

    @functools.wraps(command)
    def collected(**values: Any) -> R:
        given = {key: values.pop(key, None) for key in Selection.__struct_fields__}
        return command(selection=Selection(**{key: value for key, value in given.items() if value}), **values)

    own = (
        click.option("--error", metavar="TYPE", help=f"Many: all {error} this error."),
        click.option("--name", metavar="NAME", help="Many: all sagas of this definition."),
        click.option("--status", type=click.Choice(statuses), help="Many: all sagas that stand so."),
    )
    return with_options(collected, (*own, *_OPTIONS))


_OPTIONS = (
    click.option("--query", metavar="FILTER", help="Many: all that meet Temporal's list filter."),
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=_RATE,
        show_default=True,
        help="Many: how many in a second.",
    ),
    click.option(
        "--results",
        metavar="FILE",
        help="Many: keep each answer there; again with the same file goes on where it stopped.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask before."),
)


class _Kept:
    """The file of results: its first line says of which command, each further line is an answer."""

    def __init__(self, path: str, what: str) -> None:
        self.batch = uuid.uuid4().hex
        self.done: set[str] = set()
        self._file = None
        if not path:
            return
        try:
            known = Path(path).read_text(encoding="utf-8") if Path(path).exists() else ""
            if known:
                self._read(path, what, known)
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 # closed by `close`
            if not known:
                self._write({"sagadsl": 1, "command": what, "batch": self.batch})
        except OSError as error:
            raise ResultsUnusable(path, reason_of(error)) from None

    def _read(self, path: str, what: str, known: str) -> None:
        try:
            head, *lines = [json.loads(line) for line in known.splitlines() if line.endswith("}")]
            before, self.batch = head["command"], str(head["batch"])
            self.done = {line["key"] for line in lines if line["outcome"] == "done"}
        except (ValueError, KeyError, TypeError):
            raise ResultsUnusable(path, "it holds something else") from None
        if before != what:
            raise ResultsUnusable(path, f"it holds the results of `{before}`")

    def request_of(self, target: Addressee) -> str:
        """Return the id of the request to one saga: the same in every run with this file."""
        return f"many-{hashlib.sha256(f'{self.batch} {target.key}'.encode()).hexdigest()[:24]}"

    def keep(self, answer: Answered) -> None:
        if self._file is not None:
            self._write(answer.as_json())

    def _write(self, line: dict[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


Choose = Callable[["Client", Selection, int], Awaitable["Choice"]]
"""Finds the sagas that a selection means, at most so many."""

Ask = Callable[["Client", "Addressee", str], Awaitable[str]]
"""Asks one saga, with the id of the request; returns its status afterwards."""


async def ask_many(client: Client, what: str, selection: Selection, choose: Choose, ask: Ask) -> int:
    """Show which sagas are meant, ask for a yes, then carry it out; return the exit code.

    Args:
        what: The command with its argument, as a person writes it: ``retry``, ``signal approval``.
    """
    from sagadsl.temporal.ask.many import carried_out

    kept = _Kept(selection.results, what)
    try:
        choice = await choose(client, selection, _MOST)
        meant = [each for each in choice.targets if each.key not in kept.done]
        _preview(what, meant, choice, already=len(choice.targets) - len(meant))
        if not meant:
            await note_near_name(client, selection.name)
            return _conclude(what, [])
        _confirm(what, len(meant), yes=selection.yes)
        answers = carried_out(meant, lambda target: ask(client, target, kept.request_of(target)), rate=selection.rate)
        return _conclude(what, await _gathered(answers, kept, len(meant)))
    finally:
        kept.close()


def _preview(what: str, meant: Sequence[Addressee], choice: Choice, *, already: int) -> None:
    """Say on stderr how many sagas are meant, and name the first."""
    kinds = Counter(f"{each.name}{f' {each.path}' if each.path else ''}: {each.reason}".rstrip(": ") for each in meant)
    screen.say(f"{what}: {len(meant)} to ask" + (f", {already} were done before" if already else ""))
    for kind, number in kinds.most_common(_EXAMPLES):
        screen.say(f"  {number:>5}  {kind}")
    if len(kinds) > _EXAMPLES:
        screen.say(f"         and {len(kinds) - _EXAMPLES} more kinds")
    for each in meant[:_EXAMPLES]:
        screen.say(f"  {whole(each.id)}{f' {each.path}' if each.path else ''}")
    if len(meant) > _EXAMPLES:
        screen.say(f"  and {len(meant) - _EXAMPLES} more")
    if choice.unanswered:
        screen.say(f"{choice.unanswered} more may be meant: no worker answers for them, so they are left alone")
    if choice.has_more:
        screen.say(f"only the first {_MOST:,} were looked at: run the command again afterwards")


def _confirm(what: str, count: int, *, yes: bool) -> None:
    if yes:
        return
    screen.need_a_person(f"`{what}` would go to {count} at once; add `--yes` to do it")
    screen.ask(f"{what}: ask {count}?")


async def _gathered(answers: AsyncIterator[Answered], kept: _Kept, count: int) -> list[Answered]:
    found: list[Answered] = []
    is_hidden = screen.session().is_quiet or not sys.stderr.isatty()  # else click writes an empty line for the bar
    width = width_of(sys.stderr)
    is_narrow = width is not None and width < _BAR_NEEDS
    with click.progressbar(length=count, file=sys.stderr, hidden=is_hidden, width=0 if is_narrow else 36) as bar:
        async for answer in answers:
            kept.keep(answer)
            found.append(answer)
            bar.update(1)
    return found


def _conclude(what: str, answers: Sequence[Answered]) -> int:
    """Print what became of it; return the exit code: that of the worst problem, 0 if there is none."""
    from sagadsl.temporal.refusals import NotAnswered

    numbers = Counter(each.outcome for each in answers)
    statuses = Counter(each.status for each in answers if each.outcome == "done" and each.status)
    problems = [each for each in answers if each.problem is not None]
    document = {
        "command": what,
        "asked": len(answers),
        "done": numbers["done"],
        "refused": numbers["refused"],
        "unknown": numbers["unknown"],
        "statuses": dict(statuses),
        "problems": [each.as_json() for each in problems],
    }
    stand = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    said = [f"{numbers['done']} done" + (f" ({stand})" if stand else "")]
    said += [f"{numbers['refused']} refused"] if numbers["refused"] else []
    said += [f"{numbers['unknown']} not known to be done"] if numbers["unknown"] else []
    screen.result(document, f"{what}: {', '.join(said)}")
    for each in problems[:_PROBLEMS]:
        screen.warn(f"{each.target.id}: {one_line(str(each.problem))}")
    if len(problems) > _PROBLEMS:
        screen.warn(f"and {len(problems) - _PROBLEMS} more; `--results FILE` or `--json` has all of them")
    codes = [each.problem.exit_code for each in problems if each.problem is not None]
    return max([*codes, NotAnswered.exit_code if numbers["unknown"] else 0])
