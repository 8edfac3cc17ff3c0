"""Paths: the names that steps and their calls have in a run, and the ids and keys made of them. Replay-critical.

Paths stand in histories, in the participants' books and in operators' commands, so none of them ever changes its form.
This module has the whole grammar, to write and to read; elsewhere a path is text that nobody takes apart::

    path      = { around "/" } id               book/flight, lines[3]/reserve, pay.on_error/tell, on_failure/alarm
    around    = id | round | handler | call | "on_failure"
    round     = id "[" number "]"               a round of a loop; in patterns "[*]" is any of them
    handler   = id ".on_error"                  the steps of an error handler
    call      = path [ purpose ] [ "#" number ] withdraw.compensation[1]#2 is the second time of the second action
    purpose   = ".probe" | ".compensation" [ "[" number "]" ]

An id has small letters, digits and ``_``. A call stands around the paths of the child saga that it begins.

*An idempotency key* says who calls, which step, do or undo. It depends on the saga's id and the step's path alone, so
that it is the same at every attempt, after a reset, after continue-as-new, and when an operator repeats the step (R49).
So does a child's id, of which its own keys are made.

A saga that is begun anew under the id of one that has ended has a *generation*, a token that its starter makes. It
stands behind the id in keys (``order-7~4f1c09a2be/pay/do``) and in the ids of children, and behind the ids of
activities (``pay~4f1c09a2be``), where workers read it.
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
"""What stands around the steps that run when the saga has failed."""

MAX_ID = 255
"""Characters of an id that every database of a server takes; a longer one may be waited for in vain, for ever.

PostgreSQL counts code points. Ids that are made here are held to so many bytes, which are never fewer."""

_HANDLER, _COMPENSATION, _PROBE, _ANY = ".on_error", ".compensation", ".probe", "*"

_ROUND = re.compile(rf"(?<!\{_COMPENSATION})\[(\d+|\*)\](?=[/.#]|\Z)")
_REPEATED = re.compile(r"#\d+(?=/|\Z)")
_ID = re.compile(r"[^/.\[#]*")
_CALL = re.compile(
    rf"(?P<step>.*?)(?:(?P<probe>\{_PROBE})|(?P<undo>\{_COMPENSATION})(?:\[(?P<action>\d+)\])?)?(?:#(?P<time>\d+))?",
    re.DOTALL,
)

_GENERATION = re.compile(r"~([0-9A-Za-z]{1,32})\Z")
"""What stands behind the id of an activity: no path has a `~`."""

_LONGEST_CALL = 200
_MARK = 12
_CUT = re.compile(rf"~[0-9a-f]{{{_MARK}}}([/~])([^~]*)\Z")
"""What stands behind the beginning of a parent's id: the mark of the whole, then the call, or after `~` its end."""


class Purpose(Enum):
    """What a call does for its step."""

    DO = "do"
    UNDO = "undo"
    PROBE = "probe"


class CallId(Immutable):
    """What the id of a call says. ``str`` gives the id again.

    Attributes:
        step: Path of the step.
        action: Which action of a compensation that has several; ``None`` for the only one.
        time: 2, 3 … for a repetition that an operator asked for.
    """

    step: str
    purpose: Purpose = Purpose.DO
    action: int | None = None
    time: int = 1

    @property
    def path(self) -> str:
        """The id without the number of a repetition: what operators decide about."""
        match self.purpose:
            case Purpose.DO:
                return self.step
            case Purpose.UNDO:
                return undo_path(self.step, self.action)
            case Purpose.PROBE:
                return probe_path(self.step)

    @property
    def line(self) -> str:
        """The path of all the calls that a status shows as one: the step itself, or all that undoes it."""
        return undo_path(self.step) if self.purpose is Purpose.UNDO else self.path

    @property
    def undoes(self) -> bool:
        """Whether it is made to undo the step."""
        return self.purpose is Purpose.UNDO

    def __str__(self) -> str:
        return repeated_call(self.path, self.time)


@lru_cache(maxsize=4096)  # the same few calls are asked about over and over
def parse_call(call_id: str) -> CallId:
    """Read the id of a call; any other text is taken for the path of a step."""
    if "." not in call_id and "#" not in call_id:
        return CallId(call_id)
    found = _CALL.fullmatch(call_id)
    assert found is not None
    action, time = found["action"], found["time"]
    purpose = Purpose.UNDO if found["undo"] else Purpose.PROBE if found["probe"] else Purpose.DO
    return CallId(found["step"], purpose, None if action is None else int(action), 1 if time is None else int(time))


def path_in(around: str, inner: str) -> str:
    """Return the path of what stands in *around*: a block, a round, a handler, a child saga's call, or ``ROOT``."""
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
    """Return the path of what undoes the step at *step*; *action* counts the actions of a list."""
    return f"{step}{_COMPENSATION}" if action is None else f"{step}{_COMPENSATION}[{action}]"


def probe_path(step: str) -> str:
    """Return the path of the probe that asks about the pivot at *step*."""
    return f"{step}{_PROBE}"


def repeated_call(path: str, time: int) -> str:
    """Return the id of a call that is made for the second, third … time."""
    return path if time == 1 else f"{path}#{time}"


def path_around(path: str) -> str:
    """Return what stands around a step: ``ROOT`` for one at the top."""
    return path.rpartition("/")[0]


def handled_by(path: str) -> str | None:
    """Return the path of the outermost step whose error handler the step at *path* stands in."""
    step, handler, _ = path.partition(f"{_HANDLER}/")
    return step if handler else None


def step_id_in(path: str) -> str:
    """Return the id that a step, or the step of a call, has in its definition."""
    return _id_at(path, path.rfind("/") + 1)


def ids_around(path: str) -> list[str]:
    """Return the ids of the blocks around a step, the outermost first."""
    return [step_id_in(part) for part in path.split("/")[:-1]]


def is_on_failure(path: str) -> bool:
    """Whether the step at *path* runs because the saga has failed."""
    return path.startswith(f"{ON_FAILURE}/")


def rounds_in(path: str) -> Iterator[tuple[str, int, str]]:
    """Yield the rounds that a step stands in, the outermost first: the loop's path, the number, the round's path."""
    for found in _ROUND.finditer(path):
        if found[1] != _ANY:
            yield path[: found.start()], int(found[1]), path[: found.end()]


def path_below(path: str, top: str) -> str | None:
    """Return what is left of *path* below the step or the call at *top*; empty for *top* itself, ``None`` beside it."""
    if path == top:
        return ""
    return path[len(top) + 1 :] if top and path.startswith(f"{top}/") else None


def is_path_at(path: str, step: str) -> bool:
    """Whether *path* is the step at *step*, or something inside it or made for it."""
    return path.startswith(step) and path[len(step) : len(step) + 1] in ("", "/", "[", ".")


def is_path_end(end: str, path: str) -> bool:
    """Whether *path* is *end* with something around it: what people write who leave the blocks out."""
    return path.endswith(f"/{end}")


def branch_in(block: str, path: str) -> str | None:
    """Return the branch of the block at *block* that a step stands in: an id, or of a loop the number of the round."""
    if not path.startswith(block):
        return None
    rest = path[len(block) :]
    if rest.startswith("["):
        return rest[1 : rest.index("]")]
    return _id_at(rest, 1) if rest.startswith("/") else None


def _id_at(text: str, start: int) -> str:
    found = _ID.match(text, start)
    assert found is not None  # it takes an empty text too
    return found[0]


def path_in_its_block(path: str) -> str:
    """Return a path as it is shown below the step's block: the id, with the number of the round it stands in."""
    parent, _, last = path.rpartition("/")
    return f"[{parent.rpartition('[')[2]} {last}" if parent.endswith("]") else last


def pattern_of(name: str) -> str:
    """Return the pattern of a path or a call: any round of each loop, any repetition."""
    return _ROUND.sub(f"[{_ANY}]", _REPEATED.sub("", name))


def patterns_of(name: str) -> dict[str, None]:
    """Return every pattern that *name* has, itself first: without repetitions, for any round, or both."""
    if "[" not in name and "#" not in name:
        return {name: None}
    once = _REPEATED.sub("", name)
    return dict.fromkeys((name, once, _ROUND.sub(f"[{_ANY}]", name), pattern_of(name)))


def drawn_round(loop: str) -> str:
    """Return what stands around the steps of the loop at *loop* in a drawing, which has one box for all its rounds."""
    return f"{loop}[]"


def drawn(path: str) -> str:
    """Return the box of a drawing in which a step stands, whatever rounds it is in."""
    return _ROUND.sub(lambda _: drawn_round(""), path)


def forward_key(caller: str, path: str) -> str:
    """Return the key of the step at *path*, e.g. ``order-7/book/flight/do``."""
    return f"{caller}/{path}/do"


def undo_key(caller: str, path: str, action: int | None = None) -> str:
    """Return the key of what undoes the step at *path*; *action* counts the actions of a list."""
    return f"{caller}/{path}/undo" if action is None else f"{caller}/{path}/undo[{action}]"


def standalone_key(namespace: str, activity_id: str, run_id: str) -> str:
    """Return the key of an activity that no workflow has called; no step's path is like a run id."""
    return f"{namespace}/{activity_id}/{run_id}/do"


def caller_of(saga_id: str, generation: str) -> str:
    """Return who calls: the saga's id, with the generation of one that was begun anew."""
    return f"{saga_id}~{generation}" if generation else saga_id


def is_generation(text: str) -> bool:
    """Whether *text* can stand behind an id."""
    return _GENERATION.fullmatch(f"~{text}") is not None


def activity_id(call_id: str, generation: str) -> str:
    """Return the id under which the host runs a call."""
    return caller_of(call_id, generation)


def call_of_activity(activity_id: str) -> str:
    """Return the call that runs under an id: what ``activity_id`` was given."""
    return _GENERATION.sub("", activity_id)


def step_of_activity_id(activity_id: str) -> str:
    """Return the path of the step that an activity belongs to, also as its compensation or probe."""
    return parse_call(call_of_activity(activity_id)).step


def is_compensation(activity_id: str) -> bool:
    """Whether this activity undoes a step."""
    return parse_call(call_of_activity(activity_id)).undoes


def key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the call that runs under *activity_id*: the same for all its repetitions, and for its probe."""
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
        cut: One that would be too long is made shorter: the beginning of the parent's, a mark of the whole, the call.
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
    """Return the id of the call that began a child saga: what ``child_id`` was given; its end behind ``…`` if cut."""
    who, slash, call = workflow_id.removeprefix(saga_id).partition("/")
    if workflow_id.startswith(saga_id) and slash and (not who or _GENERATION.fullmatch(who)):
        return call
    found = _CUT.search(workflow_id)
    if found is None:
        return workflow_id
    return found[2] if found[1] == "/" else f"…{found[2]}"
