"""What is tried with mutated files: whatever stands in them, nothing breaks, and all readers say the same."""

from __future__ import annotations

import io
import json
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from sagadsl.cli.entry import INTERNAL, run
from sagadsl.language.document import parse
from sagadsl.language.load import load
from sagadsl.language.notation.json_text import read_json
from sagadsl.language.notation.scalars import write_yaml
from sagadsl.reporting import report
from sagadsl.temporal.wire.arguments import envelope, open_envelope, to_bytes
from sagadsl.temporal.wire.definitions import InvalidDefinition
from tests.fuzz.mutator import Mutator

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).with_name("corpus")
SECONDS = 20
"""After so long a case counts as one that never ends; the slowest take less than one."""

INVALID, USAGE = 1, 2
_ENDS = frozenset({0, 10, 11, 12, 13, 15, 17})
"""Exit codes of a simulation that was played."""


class Fault(Exception):
    """What must not happen has happened."""


class _NeverEnds(BaseException):
    """No ``except Exception`` shall take it for a mistake of a user."""


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        name: Of the folder of its corpus, too.
        seeds: Texts that are changed.
        attempt: Takes a folder and what one file in it holds; raises ``Fault``.
    """

    name: str
    seeds: Sequence[str]
    attempt: Callable[[Path, bytes], None]

    def draw(self, choice: random.Random) -> bytes:
        """Return a text of this kind with a few changes."""
        text = choice.choice(self.seeds)
        mutator, data = (
            Mutator(choice, [data for each in self.seeds if isinstance(data := _data(each), dict)]),
            _data(text),
        )
        if not isinstance(data, dict) or choice.random() < 0.25:
            text = mutator.text(text)
        else:
            changed = mutator.data(data)
            as_json = self.name in ("inputs", "bodies") or choice.random() < 0.3
            text = json.dumps(changed, ensure_ascii=choice.random() < 0.3) if as_json else write_yaml(changed)
        return text.encode("utf-8", "surrogatepass")


def tried(kind: Kind, folder: Path, data: bytes) -> None:
    """Try one file. Raises ``Fault`` for whatever breaks, is not bounded, or is read in two ways."""
    with _bounded():
        try:
            kind.attempt(folder, data)
        except _NeverEnds:
            raise Fault(f"it has not ended after {SECONDS} s") from None
        except Fault:
            raise
        except Exception as error:
            raise Fault(f"{type(error).__name__}: {error}") from error


def kinds() -> tuple[Kind, ...]:
    """Return all kinds, with what is shipped and what has once broken something as their seeds."""
    sagas = [*(ROOT / "definitions").glob("*.saga.yaml"), *(ROOT / "tests" / "shapes").glob("*.saga.yaml")]
    sagas += (ROOT / "tests" / "seeded").glob("*.saga.yaml")
    suites = [*(ROOT / "definitions").glob("*.saga-test.yaml"), *(ROOT / "conformance").glob("*.saga-test.yaml")]
    settings = ['modules = ["shop"]\n[plugins]\nallow = ["sagadsl-bank"]\ndeny = []\n', "[plugins]\nallow = []\n"]
    return (
        _kind("definitions", _texts(sagas), definition),
        _kind("suites", [text for text in _texts(suites) if len(text) < 20_000], suite),
        _kind("inputs", _INPUTS, given),
        _kind("settings", settings, project),
    )


def _kind(name: str, seeds: Sequence[str], attempt: Callable[[Path, bytes], None]) -> Kind:
    once = [data.decode("utf-8", "surrogateescape") for _, data in corpus(name)]
    return Kind(name, [*seeds, *once], attempt)


def corpus(name: str) -> Iterator[tuple[str, bytes]]:
    """Yield what has once broken something, by its name."""
    for path in sorted((CORPUS / name).glob("*")):
        yield path.name, path.read_bytes()


def _texts(paths: Sequence[Path]) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted(paths)]


_INPUTS = (
    '{"amount": 5, "name": "Ann", "lines": [{"sku": "a", "count": 2}], "rate": 1.5, "urgent": true, "note": null}',
    '{"from": "alice", "to": "bob", "amount": 40, "when": "2026-01-31T09:00:00Z", "limit": "5s"}',
    '{"a": {"b": [1, 2.0, -0.0, 1e5, 9007199254740993, "\\u00e9", "\\ud83d\\ude00"]}}',
)


def definition(folder: Path, data: bytes) -> None:
    """Check it, in every format of the report; start it as a worker does; play it, in every format of the timeline."""
    path = folder / "fuzzed.saga.yaml"
    path.write_bytes(data)
    loaded = load(data, name=path.name)
    for format in report.FORMATS:
        report.render(format, [loaded])
    code = _command("validate", path, "--no-plugins", "--format", "json")
    if (code == 0) is not (loaded.saga is not None):
        raise Fault(f"`validate` ends with {code}, and the definition has {len(loaded.errors)} mistakes")
    started = _starts(loaded.document.data)
    formal = [each for each in loaded.errors if each.code.startswith(("SD1", "SD50"))]
    if loaded.saga is not None and started is not None:
        raise Fault(f"`validate` takes what no run takes: {started}")
    if formal and started is None and not any(each.code.startswith("SD0") for each in loaded.errors):
        raise Fault(f"a run takes what `validate` does not: {formal[0].code} {formal[0].message}")
    for format in ("text", "json", "mermaid", "svg"):
        code = _command("simulate", path, "--no-plugins", "--until", "1w", "--format", format)
        if loaded.saga is None and code != INVALID:
            raise Fault(f"`simulate` plays what `validate` refuses, and ends with {code}")
        if loaded.saga is not None and code not in _ENDS:
            raise Fault(f"`simulate` does not play what `validate` takes, and ends with {code}")
        if loaded.saga is None:
            break


def _starts(data: Any) -> str | None:
    """Return why a worker does not take a definition; ``None`` when it does."""
    if not isinstance(data, dict):
        return "no mapping"
    try:
        open_envelope(to_bytes(envelope(data, {})))
    except InvalidDefinition as problem:
        if problem.__cause__ is not None and not isinstance(problem.__cause__, ValueError):
            raise problem.__cause__ from None
        return str(problem)
    except ValueError as error:  # no JSON can carry it
        return str(error)
    return None


def suite(folder: Path, data: bytes) -> None:
    """Play it."""
    path = folder / "fuzzed.saga-test.yaml"
    path.write_bytes(data)
    for each in (ROOT / "definitions").glob("*.saga.yaml"):
        if not (folder / each.name).exists():
            (folder / each.name).write_bytes(each.read_bytes())
    for options in ((), ("--coverage", "--format", "json")):
        code = _command("test", path, "--no-plugins", *options)
        if code not in (0, INVALID, USAGE):
            raise Fault(f"`test` ends with {code}")


def given(folder: Path, data: bytes) -> None:
    """Read it as an input: by the command, as the body of a request, and as YAML."""
    path = folder / "given.json"
    path.write_bytes(data)
    saga = folder / "takes.saga.yaml"
    saga.write_text("sagadsl: 1\nname: takes\nsteps:\n  - {id: given, set: {input: '{{ input }}'}}\n")
    code = _command("simulate", saga, "--no-plugins", "--input-file", path)
    try:
        read = read_json(data)
    except ValueError:
        if code != USAGE:
            raise Fault(f"the gateway refuses what `--input-file` takes: it ends with {code}") from None
        return
    if isinstance(read, dict) is not (code == 0):
        raise Fault(f"the gateway takes what `--input-file` does not: it ends with {code}")
    if repr(read_json(json.dumps(read))) != repr(read):
        raise Fault("what is read is not what is sent on")
    if isinstance(read, dict) and repr(parse(write_yaml(read))[0].data) != repr(read):
        raise Fault("what is written as YAML is read as other data")


def project(folder: Path, data: bytes) -> None:
    """Read it as the settings of a project."""
    (folder / "sagadsl.toml").write_bytes(data)
    (folder / "good.saga.yaml").write_text("sagadsl: 1\nname: good\nsteps:\n  - {id: a, set: {b: 1}}\n")
    code = _command("validate", folder / "good.saga.yaml", cwd=folder)
    if code not in (0, INVALID, USAGE, 3):
        raise Fault(f"`validate` ends with {code}")


def _command(*arguments: str | Path, cwd: Path | None = None) -> int:
    """Run one command in this process; what it must never say is a fault."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO())
    try:
        with chdir(cwd or Path.cwd()), redirect_stdout(out), redirect_stderr(err):
            code = run([str(each) for each in arguments])
    finally:
        sys.stdin = before
    if code == INTERNAL or "Traceback" in err.getvalue():
        raise Fault(f"`{arguments[0]}` ends with {code}: {err.getvalue()[-1500:]}")
    if "json" in arguments and out.getvalue():
        json.loads(out.getvalue())
    return code


@contextmanager
def _bounded() -> Iterator[None]:
    """End a case that goes on and on; only code of ours can be ended so, which is what is tried here."""

    def over(_signal: int, _frame: FrameType | None) -> None:
        raise _NeverEnds

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@cache
def _data(text: str) -> Any:
    return parse(text)[0].data
