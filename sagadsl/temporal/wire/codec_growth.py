"""How much longer a payload codec makes payloads, as a workflow may know it. Replay-critical.

The server limits the size of encoded data. Workflow code cannot measure it, since the SDK encodes what a workflow
task sends only after the code has run. So the worker measures its codec, and a run asks the worker when a payload or
a message is so large that a codec could make it too large. The answer is one of a few grades. A marker records it in
the history, so that a replay on a worker with another codec decides the same. When the codec lengthens nothing,
nothing is recorded.
"""

from __future__ import annotations

from temporalio import workflow

from sagadsl.immutable import Immutable
from sagadsl.temporal.wire.marker import MAX_PAYLOAD_BYTES

STRETCH = "sagadsl.stretch"
"""Name of the function by which a worker tells how much longer its codec makes payloads; also begins the markers."""

ASKS = 3
"""Since this version of the rules, a run asks."""

MAX_ENCODED_BYTES = 2_090_000
"""Bytes that the encoded payloads of one command may have; the server takes 2 MiB (R52)."""

_PERCENTS = (100, 110, 120, 135, 150, 175, 200, 250, 300)
_BESIDE = (0, 128, 512, 2_048, 8_192)
_TOLERANCE = 0.01
"""How much a codec may exceed its grade; there is more room than that between our limits and the server's."""

DOUBTFUL_BYTES = MAX_PAYLOAD_BYTES * 100 // _PERCENTS[-1] - _BESIDE[-1] * 4
"""Bytes that no allowed codec can make too large for one command."""


class CodecTooLong(Exception):
    """A codec makes payloads longer than any that sagadsl works with."""


class Stretch(Immutable):
    """How much longer a codec makes payloads, at the most.

    Attributes:
        percent: Length afterwards, in percent of the length before.
        beside: Bytes that the codec adds to each payload, whatever its length.
    """

    percent: int = 100
    beside: int = 0

    def of(self, size: int, payloads: int = 1) -> int:
        """Return the encoded size of *payloads* that have *size* bytes together."""
        return size * self.percent // 100 + payloads * self.beside

    def fits(self, size: int, payloads: int = 1) -> bool:
        """Whether the payloads of one command may be sent. They also have to fit without encoding, because a worker
        may get another codec, or none."""
        return size <= MAX_PAYLOAD_BYTES and self.of(size, payloads) <= MAX_ENCODED_BYTES

    def most(self, payloads: int = 1) -> int:
        """Return how many bytes *payloads* may have together if one command sends them."""
        return min(MAX_PAYLOAD_BYTES, (MAX_ENCODED_BYTES - payloads * self.beside) * 100 // self.percent)

    def described(self, size: int, payloads: int = 1) -> str:
        """Say how large payloads are, and how large they may be."""
        if size > MAX_PAYLOAD_BYTES or self == PLAIN:
            return f"has {size:,} bytes, at most {MAX_PAYLOAD_BYTES:,} fit"
        encoded = f"up to {self.of(size, payloads):,} when the payload codec has encoded it"
        return f"has {size:,} bytes, {encoded}; at most {MAX_ENCODED_BYTES:,} fit"


PLAIN = Stretch()
_GRADES = tuple(Stretch(percent, beside) for percent in _PERCENTS for beside in _BESIDE)
LONGEST = _GRADES[-1]


def grade(small: tuple[int, int], large: tuple[int, int]) -> Stretch:
    """Return the grade of a codec from two payloads, each as sizes before and after. Raises ``CodecTooLong``."""
    factor = (large[1] - small[1]) / (large[0] - small[0])
    beside = small[1] - small[0]
    for found in _GRADES:
        if factor <= found.percent / 100 + _TOLERANCE and beside <= found.beside:
            return found
    raise CodecTooLong(
        f"it makes payloads {factor:.1f} times as long, and adds {beside:,} bytes to each; at most "
        f"{LONGEST.percent // 100} times and {LONGEST.beside:,} bytes are supported"
    )


def of_this_worker() -> Stretch:
    """Return how much longer this worker's codec makes payloads. Not for decisions that a replay repeats."""
    ask = workflow.extern_functions().get(STRETCH)
    return PLAIN if ask is None else ask()


def _marker(number: int, found: Stretch) -> str:
    return f"{STRETCH}.{number}.{found.percent}.{found.beside}"


class _Answer(Immutable):
    task: int = -1
    number: int = 0
    found: Stretch = PLAIN


class StretchPerTask:
    """The answers that one run has had, one for each workflow task."""

    def __init__(self) -> None:
        self._last = _Answer()

    def now(self, rules: int) -> Stretch:
        """Return how much longer the payloads of this workflow task become. The history records it if they do."""
        if rules < ASKS:
            return PLAIN
        task = workflow.info().get_current_history_length()  # differs from one workflow task to the next
        if task != self._last.task:
            number = self._last.number + 1
            self._last = _Answer(task, number, _recorded(number))
        return self._last.found


def _recorded(number: int) -> Stretch:
    if workflow.unsafe.is_replaying():
        known = (each for each in _GRADES if each != PLAIN and workflow.patched(_marker(number, each)))
        return next(known, PLAIN)
    found = of_this_worker()
    if found != PLAIN:
        workflow.patched(_marker(number, found))
    return found
