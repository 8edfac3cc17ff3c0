"""Draws files by a seed, tries them until the time is over, and keeps what breaks something."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.kinds import Fault, Kind, kinds, tried


@dataclass(frozen=True)
class Found:
    """A file that breaks something.

    Attributes:
        case: ``SEED/NUMBER``, by which it is drawn again.
    """

    kind: str
    case: str
    data: bytes
    why: str


@dataclass
class Fuzzed:
    """What came of one run."""

    cases: Counter[str] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)


def fuzz(seed: str, seconds: float, most: int = 20) -> Fuzzed:
    """Try files for so long, or until *most* different faults are found."""
    done, every, end = Fuzzed(), kinds(), time.monotonic() + seconds
    seen: set[str] = set()
    number = 0
    with tempfile.TemporaryDirectory(prefix="sagadsl-fuzz-") as folder:
        while time.monotonic() < end and len(done.found) < most:
            number += 1
            kind, data = drawn(every, f"{seed}/{number}")
            done.cases[kind.name] += 1
            for found in _faults(kind, Path(folder), data, f"{seed}/{number}"):
                if found.why[:80] not in seen:
                    seen.add(found.why[:80])
                    done.found.append(found)
    return done


def drawn(every: tuple[Kind, ...], case: str) -> tuple[Kind, bytes]:
    """Return what stands under a case: the same for ever, as long as the corpus is the same."""
    choice = random.Random(case)
    kind = choice.choices(every, (6, 3, 3, 1))[0]
    return kind, kind.draw(choice)


def again(case: str) -> Fuzzed:
    """Try one case once more."""
    done, every = Fuzzed(), kinds()
    kind, data = drawn(every, case)
    done.cases[kind.name] += 1
    with tempfile.TemporaryDirectory(prefix="sagadsl-fuzz-") as folder:
        done.found += _faults(kind, Path(folder), data, case)
    return done


def _faults(kind: Kind, folder: Path, data: bytes, case: str) -> Iterator[Found]:
    try:
        tried(kind, folder, data)
    except Fault as fault:
        yield Found(kind.name, case, data, str(fault))
