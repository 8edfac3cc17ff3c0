"""Paths: the names that steps and their calls have in a run, and the ids and keys made of them. Replay-critical.

Histories, the participants' books and the commands of operators contain paths, so the form of a path never changes.
This module has the whole grammar, for writing and for reading. For all other code a path is text without parts::

    path      = { around "/" } id               book/flight, lines[3]/reserve, pay.on_error/tell, on_failure/alarm,
                                                on_pause[0]/tell
    around    = id | round | handler | call | "on_failure" | pause
    round     = id "[" number "]"               a round of a loop; in patterns "[*]" is any of them
    handler   = id ".on_error"                  the steps of an error handler
    pause     = "on_pause[" number "]"          what tells of a pause, by the number of the pause in its saga
    call      = path [ "@" number ] [ purpose ] [ "#" number ]
                                                withdraw.compensation[1]#2 is the second time of the second action,
                                                pay@2#2 the second time of a step that has got a second key
    purpose   = ".probe" | ".compensation" [ "[" number "]" ]

An id has small letters, digits and ``_``. The paths of a child saga come after the call that begins it. The timer of a
step that sleeps or waits, and of the pause between two rounds, has the path of the step. Other timers have a path and a
word: ``.pause`` ends the wait for an operator, ``.limit`` the time of a block, ``.again``
the pause before it is tried again, ``.settle`` the wait for a late attempt.

*An idempotency key* says who calls, for which step, and whether to do or to undo. It depends only on the saga's id and
the step's path. So it is the same at every attempt, after a reset, after continue-as-new, and when an operator repeats
the step (R49). The same is true for the id of a child, which is a part of the child's own keys.
Only when the operator asks for a new key, the step gets a number: ``order-7/pay@2/do``.

A saga that begins anew under the id of an ended saga has a *generation*, a token that its starter makes. The generation
comes after the saga's id in keys (``order-7~4f1c09a2be/pay/do``) and in the ids of children. It also comes after the
ids of activities (``pay~4f1c09a2be``), where workers read it. A child saga whose id an expression has chosen has a
generation that follows from its parent's id and the call, since others may have had the id before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import Final

from sagadsl.immutable import Immutable
from sagadsl.later import compiled_later

ROOT = ""
"""The path of the saga itself, around its steps."""

ON_FAILURE: Final = "on_failure"
"""The path around the steps that run when the saga has failed."""

_ON_PAUSE: Final = "on_pause"

MAX_ID = 255
"""The most characters of an id that every database of a server accepts. For a longer id we may wait for ever, in vain.

PostgreSQL counts code points. This module limits its ids to so many bytes; an id never has fewer bytes than characters.
"""

MAX_REQUEST = 200
"""The most characters of the id of a request."""

_HANDLER, _COMPENSATION, _PROBE, _ANY = ".on_error", ".compensation", ".probe", "*"

_ROUND = compiled_later(rf"(?<!\{_COMPENSATION})\[(\d+|\*)\](?=[/.#]|\Z)")
_REPEATED = compiled_later(r"#\d+(?=/|\Z)|@\d+(?=[/.#]|\Z)")
_ID = compiled_later(r"[^/.\[#@]*")
_CALL = compiled_later(
    rf"(?P<step>.*?)(?:@(?P<key>\d+))?(?:(?P<probe>\{_PROBE})|(?P<undo>\{_COMPENSATION})(?:\[(?P<action>\d+)\])?)?(?:#(?P<time>\d+))?",
    re.DOTALL,
)

_GENERATION = compiled_later(r"~([0-9A-Za-z]{1,32})\Z")
"""The generation after the id of an activity. No path has a `~`."""

_KEY = compiled_later(r"(.+?)(?:@\d+)?/(?:do|undo(?:\[\d+\])?)")
_LONGEST_CALL = 200
_MARK = 12
_CUT = compiled_later(rf"~[0-9a-f]{{{_MARK}}}([/~])([^~]*)\Z")
"""The end of a child's id after the cut id of its parent: the mark of the whole, then the call, or `~` and its end."""
_CUT_BEFORE = compiled_later(rf"~[0-9a-f]{{{_MARK}}}[/~]")
_PART = 3
"""The most bytes of a character that was cut in two, and is left out."""


class TimerKind(Enum):
    """What a timer is for, if it has a word after its path."""

    PAUSE = ".pause"
    """It ends the wait for an operator at a step or a compensation."""
    LIMIT = ".limit"
    """The time of a block or a child saga is over."""
    AGAIN = ".again"
    """A step that has failed is tried again."""
    SETTLE = ".settle"
    """The undo of a step waits no longer for an attempt of which nobody has heard."""


_CLOCKS = {clock.value: clock for clock in TimerKind}


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
        key: 2, 3 … when an operator has given the step a new key.
    """

    step: str
    purpose: Purpose = Purpose.DO
    action: int | None = None
    time: int = 1
    key: int = 1

    @property
    def path(self) -> str:
        """The id without the numbers of the repetition and the key: operators decide about this path."""
        return self._path(self.step)

    def _path(self, step: str) -> str:
        match self.purpose:
            case Purpose.DO:
                return step
            case Purpose.UNDO:
                return undo_path(step, self.action)
            case Purpose.PROBE:
                return probe_path(step)

    @property
    def line(self) -> str:
        """The path of all calls that a status shows in one line: the step itself, or all calls that undo it."""
        return undo_path(self.step) if self.purpose is Purpose.UNDO else self.path

    @property
    def undoes(self) -> bool:
        """Whether the call undoes the step."""
        return self.purpose is Purpose.UNDO

    def __str__(self) -> str:
        return repeated_call(self._path(keyed(self.step, self.key)), self.time)


@lru_cache(maxsize=4096)  # callers ask about the same few calls over and over
def parse_call(call_id: str) -> CallId:
    """Read the id of a call; any other text counts as the path of a step."""
    if "#" not in call_id and "@" not in call_id:  # most calls are the first ones
        if "." not in call_id:
            return CallId(call_id)
        if call_id.endswith(_COMPENSATION):
            return CallId(call_id.removesuffix(_COMPENSATION), Purpose.UNDO)
    found = _CALL.fullmatch(call_id)
    assert found is not None
    action, time, key = found["action"], found["time"], found["key"]
    purpose = Purpose.UNDO if found["undo"] else Purpose.PROBE if found["probe"] else Purpose.DO
    return CallId(
        found["step"],
        purpose,
        None if action is None else int(action),
        1 if time is None else int(time),
        1 if key is None else int(key),
    )


def path_in(outer: str, inner: str) -> str:
    """Return the path of *inner* inside *outer*: a block, a round, a handler, a child saga's call, or ``ROOT``."""
    return f"{outer}/{inner}" if outer else inner


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


def keyed(step: str, key: int) -> str:
    """Return the path of a step as its keys and its calls have it: with a number when the key is not the first."""
    return step if key == 1 else f"{step}@{key}"


def timer(path: str, clock: TimerKind) -> str:
    """Return the id of a timer for the step or the compensation at *path*."""
    return f"{path}{clock.value}"


def parse_timer(timer_id: str) -> tuple[str, TimerKind | None]:
    """Return the path that a timer belongs to, and what it is for; ``None``: the step sleeps or waits itself."""
    path, dot, word = timer_id.rpartition(".")
    clock = _CLOCKS.get(dot + word)
    return (timer_id, None) if clock is None else (path, clock)


def enclosing_path(path: str) -> str:
    """Return the path around a step; it is ``ROOT`` for a step at the top."""
    return path.rpartition("/")[0]


def blocks_around(path: str) -> Iterator[str]:
    """Yield what is around a step, from the inside out: error handlers, rounds, and the blocks that these belong to."""
    while path := enclosing_path(path):
        yield path
        if path.endswith(_HANDLER):
            yield path.removesuffix(_HANDLER)
        elif path.endswith("]"):
            yield path[: path.rindex("[")]


def handled_by(path: str) -> str | None:
    """Return the path of the outermost step whose error handler contains the step at *path*."""
    step, handler, _ = path.partition(f"{_HANDLER}/")
    return step if handler else None


def step_id_in(path: str) -> str:
    """Return the id in the definition of a step, or of the step of a call."""
    return _id_at(path, path.rfind("/") + 1)


def enclosing_ids(path: str) -> list[str]:
    """Return the ids of the blocks around a step, outermost first."""
    return [step_id_in(part) for part in path.split("/")[:-1]]


def is_on_failure(path: str) -> bool:
    """Whether the step at *path* runs because the saga has failed."""
    return path.startswith(f"{ON_FAILURE}/")


def notice_path(pause: int | None, step_id: str) -> str:
    """Return the path of a call that tells of a pause: by its number, counted from 0; of ``None``, for any pause."""
    around = any_round(_ON_PAUSE) if pause is None else round_path(_ON_PAUSE, pause)
    return path_in(around, step_id)


def is_notice(path: str) -> bool:
    """Whether the call at *path* tells somebody that the saga waits for an operator."""
    return path.startswith(f"{_ON_PAUSE}[")


def rounds_in(path: str) -> Iterator[tuple[str, int, str]]:
    """Yield the rounds around a step, outermost first: the loop's path, the number, the round's path."""
    for found in _ROUND.finditer(path):
        if found[1] != _ANY:
            yield path[: found.start()], int(found[1]), path[: found.end()]


def without_rounds(path: str) -> str:
    """Return the path without the numbers of rounds, ``lines[]/pay``: the same for every round of a loop."""
    return _ROUND.sub("[]", path)


def path_below(path: str, top: str) -> str | None:
    """Return the rest of *path* below the step or the call at *top*: empty for *top* itself, ``None`` outside of it."""
    if path == top:
        return ""
    return path[len(top) + 1 :] if top and path.startswith(f"{top}/") else None


def path_around(path: str, inner: str) -> str:
    """Return the part of *path* before *inner*, which is its end: ``ROOT`` if that is all of it."""
    return path.removesuffix(inner).removesuffix("/")


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


def renamed(name: str, old: str, new: str) -> str:
    """Return the name of a path or a call when the ids in its pattern change from those of *old* to those of *new*.

    Args:
        name: Perhaps without the blocks around it.
        old: The pattern that *name* means; *new* has as many parts.
    """
    parts, before, after = (each.split("/") for each in (name, old, new))
    for number in range(1, min(len(parts), len(before)) + 1):
        was, now = (_ID.match(each[-number])[0] for each in (before, after))  # type: ignore[index]
        if was != now and parts[-number].startswith(was):
            parts[-number] = now + parts[-number][len(was) :]
    return "/".join(parts)


def is_pattern(name: str) -> bool:
    """Whether a name stands for any round of a loop."""
    return f"[{_ANY}]" in name


@lru_cache(maxsize=4096)  # a trial asks about the same few names over and over
def stands_for(pattern: str, name: str) -> bool:
    """Whether *pattern* means the path or the call *name*.

    ``[*]`` is any round, at any depth. A pattern without the number of a repetition means every repetition.
    """
    if pattern == name:
        return True
    if pattern_of(pattern) != pattern_of(name):
        return False
    rounds = zip(*(_ROUND.findall(_REPEATED.sub("", each)) for each in (pattern, name)), strict=True)
    repeated = _REPEATED.findall(pattern)
    return all(each in (_ANY, there) for each, there in rounds) and repeated in ([], _REPEATED.findall(name))


def looseness(pattern: str) -> tuple[int, list[bool], bool]:
    """Return how loose a pattern is, to order those that mean one call: fewer ``[*]`` first, then the inner ones."""
    loose = [each == _ANY for each in _ROUND.findall(pattern)]
    return sum(loose), loose, _REPEATED.search(pattern) is None


def whole_path(end: str, among: Iterable[str], *, any_round: bool = False) -> str | None:
    """Return the one path of *among* that *end* means when people leave out the blocks around it, else ``None``.

    Args:
        any_round: *end* may leave out a loop too, and then means any of its rounds. Otherwise the round has to be said.
    """
    found = [
        each.removesuffix(written)
        for each in among
        for written in dict.fromkeys((end, pattern_of(end)))
        if is_path_end(written, each)
    ]
    if len(found) != 1 or (_ROUND.search(found[0]) and not any_round):
        return None
    return f"{found[0]}{end}"


def drawn_round(loop: str) -> str:
    """Return the path around the steps of the loop at *loop* in a drawing, which has one box for all rounds."""
    return f"{loop}[]"


def drawn(path: str) -> str:
    """Return the path of a step's box in a drawing, whatever rounds the step is in."""
    return _ROUND.sub(lambda _: drawn_round(""), path)


def forward_key(caller: str, path: str, key: int = 1) -> str:
    """Return the key of the step at *path*, e.g. ``order-7/book/flight/do``; *key* is its number."""
    return f"{caller}/{keyed(path, key)}/do"


def undo_key(caller: str, path: str, action: int | None = None, key: int = 1) -> str:
    """Return the key of the call that undoes the step at *path*; *action* is its number in a list of actions."""
    whole = f"{caller}/{keyed(path, key)}/undo"
    return whole if action is None else f"{whole}[{action}]"


def path_of_key(caller: str, key: str) -> str | None:
    """Return the path in a key that *caller* has made; ``None`` if it has made none like this."""
    found = _KEY.fullmatch(key.removeprefix(f"{caller}/")) if key.startswith(f"{caller}/") else None
    return None if found is None else found[1]


def request_of(key: str) -> str:
    """Return the id of a request that a call with this key makes: the key, or its beginning and a mark of the whole."""
    if len(key) <= MAX_REQUEST:
        return key
    mark = sha256(key.encode("utf-8", "replace")).hexdigest()[:_MARK]
    return f"{key[: MAX_REQUEST - 1 - _MARK]}~{mark}"


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
    if call.undoes:
        return undo_key(calls, call.step, call.action, call.key)
    return forward_key(calls, call.step, call.key)


def step_key_of_activity_id(saga_id: str, activity_id: str) -> str:
    """Return the key of the forward call of the step that an activity belongs to."""
    call = parse_call(call_of_activity(activity_id))
    return forward_key(_whose(saga_id, activity_id), call.step, call.key)


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


def beginnings_of_cut_ids(key: str) -> tuple[str, ...]:
    """Return what may be the beginning of a saga's id, if *key* is of a child whose id ``child_id`` may have cut.

    Of a child's child, the mark may be cut itself, so each ``~`` counts behind which an id can have been cut.
    """
    if len(key.encode("utf-8", "replace")) < MAX_ID - _PART or not _CUT_BEFORE.search(key):
        return ()
    least = MAX_ID - _LONGEST_CALL - _MARK - 2 - _PART  # two signs: before the mark, and before the call
    begins = (key[:at] for at, sign in enumerate(key) if sign == "~")
    return tuple(each for each in begins if len(each.encode("utf-8", "replace")) >= least)


def child_generation(caller: str, call_id: str) -> str:
    """Return the generation of a child saga under a chosen id: another one for each call that ever begins it."""
    return sha256(f"{caller}/{call_id}".encode("utf-8", "replace")).hexdigest()[:_MARK]


def call_of_child(saga_id: str, workflow_id: str) -> str:
    """Return the id of the call that began a child saga (the inverse of ``child_id``); if cut, ``…`` and its end."""
    who, slash, call = workflow_id.removeprefix(saga_id).partition("/")
    if workflow_id.startswith(saga_id) and slash and (not who or _GENERATION.fullmatch(who)):
        return call
    found = _CUT.search(workflow_id)
    if found is None:
        return workflow_id
    return found[2] if found[1] == "/" else f"…{found[2]}"
