"""Paths: the names that steps and their calls have in a run, and the ids and keys made of them. Replay-critical.

Histories, the participants' books and the commands of operators contain paths, so the form of a path never changes.
This module has the whole grammar, for writing and for reading. For all other code a path is text without parts::

    path      = { around "/" } id               book/flight, lines[3]/reserve, pay.on_error/tell, on_failure/alarm
    around    = id | round | handler | call | "on_failure"
    round     = id "[" number "]"               a round of a loop; in patterns "[*]" is any of them
    handler   = id ".on_error"                  the steps of an error handler
    call      = path [ purpose ] [ "#" number ] withdraw.compensation[1]#2 is the second time of the second action
    purpose   = ".probe" | ".compensation" [ "[" number "]" ]

An id has small letters, digits and ``_``. The paths of a child saga come after the call that begins it.

*An idempotency key* says who calls, for which step, and whether to do or to undo. It depends only on the saga's id and
the step's path. So it is the same at every attempt, after a reset, after continue-as-new, and when an operator repeats
the step (R49). The same is true for the id of a child, which is a part of the child's own keys.

A saga that begins anew under the id of an ended saga has a *generation*, a token that its starter makes. The generation
comes after the saga's id in keys (``order-7~4f1c09a2be/pay/do``) and in the ids of children. It also comes after the
ids of activities (``pay~4f1c09a2be``), where workers read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Final

from sagadsl.immutable import Immutable

ROOT = ""
"""The path of the saga itself, around its steps."""

ON_FAILURE: Final = "on_failure"
"""The path around the steps that run when the saga has failed."""

MAX_ID = 255
"""The most characters of an id that every database of a server accepts. For a longer id we may wait for ever, in vain.

PostgreSQL counts code points. This module limits its ids to so many bytes; an id never has fewer bytes than characters.
"""

_HANDLER, _COMPENSATION, _PROBE, _ANY = ".on_error", ".compensation", ".probe", "*"

_ROUND = re.compile(rf"(?<!\{_COMPENSATION})\[(\d+|\*)\](?=[/.#]|\Z)")
_REPEATED = re.compile(r"#\d+(?=/|\Z)")
_ID = re.compile(r"[^/.\[#]*")
_CALL = re.compile(
    rf"(?P<step>.*?)(?:(?P<probe>\{_PROBE})|(?P<undo>\{_COMPENSATION})(?:\[(?P<action>\d+)\])?)?(?:#(?P<time>\d+))?",
    re.DOTALL,
)

_GENERATION = re.compile(r"~([0-9A-Za-z]{1,32})\Z")
"""The generation after the id of an activity. No path has a `~`."""

_LONGEST_CALL = 200
_MARK = 12
_CUT = re.compile(rf"~[0-9a-f]{{{_MARK}}}([/~])([^~]*)\Z")
"""The end of a child's id after the cut id of its parent: the mark of the whole, then the call, or `~` and its end."""


class Purpose(Enum):
    """What a call does for its step."""

    DO = "do"
    UNDO = "undo"
    PROBE = "probe"


class CallId(Immutable):
    """The parts of the id of a call. ``str`` gives the id again.

    Attributes:
        step: Path of the step.
        action: The number of the action if a compensation has several; ``None`` for the only action.
        time: 2, 3 … for a call that is repeated because an operator asked for it.
    """

    step: str
    purpose: Purpose = Purpose.DO
    action: int | None = None
    time: int = 1

    @property
    def path(self) -> str:
        """The id without the number of the repetition: operators decide about this path."""
        match self.purpose:
            case Purpose.DO:
                return self.step
            case Purpose.UNDO:
                return undo_path(self.step, self.action)
            case Purpose.PROBE:
                return probe_path(self.step)

    @property
    def line(self) -> str:
        """The path of all calls that a status shows in one line: the step itself, or all calls that undo it."""
        return undo_path(self.step) if self.purpose is Purpose.UNDO else self.path

    @property
    def undoes(self) -> bool:
        """Whether the call undoes the step."""
        return self.purpose is Purpose.UNDO

    def __str__(self) -> str:
        return repeated_call(self.path, self.time)


@lru_cache(maxsize=4096)  # callers ask about the same few calls over and over
def parse_call(call_id: str) -> CallId:
    """Read the id of a call; any other text counts as the path of a step."""
    if "." not in call_id and "#" not in call_id:
        return CallId(call_id)
    found = _CALL.fullmatch(call_id)
    assert found is not None
    action, time = found["action"], found["time"]
    purpose = Purpose.UNDO if found["undo"] else Purpose.PROBE if found["probe"] else Purpose.DO
    return CallId(found["step"], purpose, None if action is None else int(action), 1 if time is None else int(time))


def path_in(around: str, inner: str) -> str:
    """Return the path of *inner* inside *around*: a block, a round, a handler, a child saga's call, or ``ROOT``."""
    return f"{around}/{inner}" if around else inner


def round_path(loop: str, index: int) -> str:
    """Return the path of a round of the loop at *loop*."""
    return f"{loop}[{index}]"


def any_round(loop: str) -> str:
    """Return the pattern of all rounds of the loop at *loop*."""
    return f"{loop}[{_ANY}]"


def handler_path(step: str) -> str:
    """Return the path of the error handler of the step at *step*."""
    return f"{step}{_HANDLER}"


def undo_path(step: str, action: int | None = None) -> str:
    """Return the path of the call that undoes the step at *step*; *action* is its number in a list of actions."""
    return f"{step}{_COMPENSATION}" if action is None else f"{step}{_COMPENSATION}[{action}]"


def probe_path(step: str) -> str:
    """Return the path of the probe that asks about the pivot at *step*."""
    return f"{step}{_PROBE}"


def repeated_call(path: str, time: int) -> str:
    """Return the id of a call that the saga makes for the second, third … time."""
    return path if time == 1 else f"{path}#{time}"


def path_around(path: str) -> str:
    """Return the path around a step; it is ``ROOT`` for a step at the top."""
    return path.rpartition("/")[0]


def handled_by(path: str) -> str | None:
    """Return the path of the outermost step whose error handler contains the step at *path*."""
    step, handler, _ = path.partition(f"{_HANDLER}/")
    return step if handler else None


def step_id_in(path: str) -> str:
    """Return the id in the definition of a step, or of the step of a call."""
    return _id_at(path, path.rfind("/") + 1)


def ids_around(path: str) -> list[str]:
    """Return the ids of the blocks around a step, outermost first."""
    return [step_id_in(part) for part in path.split("/")[:-1]]


def is_on_failure(path: str) -> bool:
    """Whether the step at *path* runs because the saga has failed."""
    return path.startswith(f"{ON_FAILURE}/")


def rounds_in(path: str) -> Iterator[tuple[str, int, str]]:
    """Yield the rounds around a step, outermost first: the loop's path, the number, the round's path."""
    for found in _ROUND.finditer(path):
        if found[1] != _ANY:
            yield path[: found.start()], int(found[1]), path[: found.end()]


def path_below(path: str, top: str) -> str | None:
    """Return the rest of *path* below the step or the call at *top*: empty for *top* itself, ``None`` outside of it."""
    if path == top:
        return ""
    return path[len(top) + 1 :] if top and path.startswith(f"{top}/") else None


def is_path_at(path: str, step: str) -> bool:
    """Whether *path* is the step at *step*, a step inside it, or a call for it."""
    return path.startswith(step) and path[len(step) : len(step) + 1] in ("", "/", "[", ".")


def is_path_end(end: str, path: str) -> bool:
    """Whether *path* is *end* with blocks around it: people often leave the blocks out."""
    return path.endswith(f"/{end}")


def branch_in(block: str, path: str) -> str | None:
    """Return the branch of the block at *block* that contains a step: an id, or in a loop the number of the round."""
    if not path.startswith(block):
        return None
    rest = path[len(block) :]
    if rest.startswith("["):
        return rest[1 : rest.index("]")]
    return _id_at(rest, 1) if rest.startswith("/") else None


def _id_at(text: str, start: int) -> str:
    found = _ID.match(text, start)
    assert found is not None  # the pattern also matches an empty text
    return found[0]


def path_in_its_block(path: str) -> str:
    """Return a path as messages show it below the step's block: the id, with the number of the step's round."""
    parent, _, last = path.rpartition("/")
    return f"[{parent.rpartition('[')[2]} {last}" if parent.endswith("]") else last


def pattern_of(name: str) -> str:
    """Return the pattern of a path or a call, for any round of each loop and any repetition."""
    return _ROUND.sub(f"[{_ANY}]", _REPEATED.sub("", name))


def patterns_of(name: str) -> dict[str, None]:
    """Return every pattern of *name*, first the name itself: without repetitions, for any round, or both."""
    if "[" not in name and "#" not in name:
        return {name: None}
    once = _REPEATED.sub("", name)
    return dict.fromkeys((name, once, _ROUND.sub(f"[{_ANY}]", name), pattern_of(name)))


def drawn_round(loop: str) -> str:
    """Return the path around the steps of the loop at *loop* in a drawing, which has one box for all rounds."""
    return f"{loop}[]"


def drawn(path: str) -> str:
    """Return the path of a step's box in a drawing, whatever rounds the step is in."""
    return _ROUND.sub(lambda _: drawn_round(""), path)


def forward_key(caller: str, path: str) -> str:
    """Return the key of the step at *path*, e.g. ``order-7/book/flight/do``."""
    return f"{caller}/{path}/do"


def undo_key(caller: str, path: str, action: int | None = None) -> str:
    """Return the key of the call that undoes the step at *path*; *action* is its number in a list of actions."""
    return f"{caller}/{path}/undo" if action is None else f"{caller}/{path}/undo[{action}]"


def standalone_key(namespace: str, activity_id: str, run_id: str) -> str:
    """Return the key of an activity that no workflow has called. It is unique: no path of a step is like a run id."""
    return f"{namespace}/{activity_id}/{run_id}/do"


def caller_of(saga_id: str, generation: str) -> str:
    """Return the caller for keys: the saga's id, with its generation if the saga was begun anew."""
    return f"{saga_id}~{generation}" if generation else saga_id


def is_generation(text: str) -> bool:
    """Whether *text* can be the generation after an id."""
    return _GENERATION.fullmatch(f"~{text}") is not None


def activity_id(call_id: str, generation: str) -> str:
    """Return the id under which the host runs a call."""
    return caller_of(call_id, generation)


def call_of_activity(activity_id: str) -> str:
    """Return the id of the call that runs under an activity id; the inverse of ``activity_id``."""
    return _GENERATION.sub("", activity_id)


def step_of_activity_id(activity_id: str) -> str:
    """Return the path of the step that an activity belongs to, even if it is its compensation or probe."""
    return parse_call(call_of_activity(activity_id)).step


def is_compensation(activity_id: str) -> bool:
    """Whether this activity undoes a step."""
    return parse_call(call_of_activity(activity_id)).undoes


def key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the call that runs under *activity_id*. Its repetitions and its probe have the same key."""
    call, calls = parse_call(call_of_activity(activity_id)), _whose(saga_id, activity_id)
    return undo_key(calls, call.step, call.action) if call.undoes else forward_key(calls, call.step)


def step_key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the forward call of the step that an activity belongs to."""
    return forward_key(_whose(saga_id, activity_id), step_of_activity_id(activity_id))


def _whose(saga_id: str, activity_id: str) -> str:
    generation = _GENERATION.search(activity_id)
    return saga_id if generation is None else caller_of(saga_id, generation[1])


def child_id(caller: str, call_id: str, *, cut: bool = True) -> str:
    """Return the workflow id of a child saga: its parent's id and the call's, e.g. ``order-7/book/flight``.

    Args:
        cut: Shorten an id that is too long: the beginning of the parent's id, a mark of the whole, the call.
    """
    whole = f"{caller}/{call_id}"
    raw = whole.encode("utf-8", "replace")
    if not cut or len(raw) <= MAX_ID:
        return whole
    mark, call = sha256(raw).hexdigest()[:_MARK], f"/{call_id}"
    if len(call) > _LONGEST_CALL:
        call = f"~{call_id[-_LONGEST_CALL:]}"
    room = MAX_ID - len(call) - 1 - _MARK  # a call's id is ASCII
    return f"{caller.encode('utf-8', 'replace')[:room].decode('utf-8', 'ignore')}~{mark}{call}"


def call_of_child(saga_id: str, workflow_id: str) -> str:
    """Return the id of the call that began a child saga (the inverse of ``child_id``); if cut, ``…`` and its end."""
    who, slash, call = workflow_id.removeprefix(saga_id).partition("/")
    if workflow_id.startswith(saga_id) and slash and (not who or _GENERATION.fullmatch(who)):
        return call
    found = _CUT.search(workflow_id)
    if found is None:
        return workflow_id
    return found[2] if found[1] == "/" else f"…{found[2]}"
