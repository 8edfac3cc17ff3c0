"""What bank, shop, inn and ferry have in their books about one saga, its children included."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sagadsl_bank import audit

from tests.chaos import guests
from tests.chaos.stage import Stage

_KEY = re.compile(r"(?P<id>[^/~]+)(~(?P<generation>[^/]+))?/(?P<path>.+)/do")


@dataclass(frozen=True, slots=True)
class Effect:
    """One key, and what became of it.

    Attributes:
        path: Of its step, seen from the root saga, e.g. ``prepare/pack``.
        generation: Empty in the first run under its id.
        state: ``done``, ``undone``, or ``refused`` when the undo came first.
        undone: How often it was taken back.
    """

    path: str
    key: str
    name: str
    state: str
    undone: int
    amount: int = 0
    generation: str = ""

    @property
    def stands(self) -> bool:
        return self.state == "done"


@dataclass(frozen=True, slots=True)
class Books:
    """The books of all participants, by the id of the root saga."""

    of: Mapping[str, Sequence[Effect]]
    problems: tuple[str, ...]
    balances: Mapping[str, int]

    def in_force(self, id_: str) -> list[Effect]:
        return [each for each in self.of.get(id_, ()) if each.stands]


def read(stage: Stage) -> Books:
    """Read all books, when nobody writes to them any more."""
    effects = [*_bank(stage), *_shop(stage), *_guests(stage)]
    by_id: dict[str, list[Effect]] = defaultdict(list)
    for effect in effects:
        if found := _KEY.fullmatch(effect.key):
            by_id[found["id"]].append(effect)
    problems = [*audit.check(stage.engine).problems, *guests.problems(stage.guests)]
    problems += [f"`{each.key}` was taken back {each.undone} times" for each in effects if each.undone > 1]
    balances = {each.account: each.balance for each in audit.balances(stage.engine)}
    return Books(by_id, tuple(problems), balances)


def _effect(key: str, name: str, state: str, undone: int, amount: int = 0) -> Effect:
    found = _KEY.fullmatch(key)
    path, generation = (found["path"], found["generation"] or "") if found else ("", "")
    return Effect(path, key, name, state, undone, amount, generation)


def _bank(stage: Stage) -> Iterable[Effect]:
    for entry in audit.history(stage.engine):
        if not entry.key.startswith("init/"):
            undone = 1 if entry.state == "undone" else 0  # the audit has looked at the postings of each key
            yield _effect(entry.key, entry.kind, entry.state, undone, entry.amount)


def _guests(stage: Stage) -> Iterable[Effect]:
    for key, state in guests.states(stage.guests).items():
        undone = 1 if state == "undone" else 0  # their own check has counted the lines of each key
        yield _effect(key, key.rsplit("/", 2)[-2], state, undone)


def _shop(stage: Stage) -> Iterable[Effect]:
    log = stage.folder / "shop.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    by_key: dict[str, list[dict[str, object]]] = defaultdict(list)
    for line in lines:
        by_key[str(line["key"])].append(line)
    for key, mine in by_key.items():
        done = [each for each in mine if not each["undoes"]]
        undone = len(mine) - len(done)
        state = "refused" if not done else "undone" if undone else "done"
        name = str((done or mine)[0]["name"])
        yield _effect(key, name, state, undone)
        for _ in done[1:]:  # one key, two effects: told as an effect of its own
            yield _effect(key, name, "done", 0)
