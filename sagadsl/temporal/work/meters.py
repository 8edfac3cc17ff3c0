"""The numbers of a worker: how many sagas began and ended, how long steps take, what could not be undone.

They go where the SDK's own metrics go: to an address for Prometheus, or by OTLP. Labels are names of sagas and steps
and words of sagadsl, and never ids. How many names there are is bounded here, since whoever starts a saga may send
its definition along.
"""

from __future__ import annotations

from temporalio.common import MetricAttributes, MetricCounter, MetricHistogramFloat, MetricMeter

MOST_NAMES = 2_000
"""Pairs of a saga and a step that a process tells apart; the others are counted together as ``other``."""

OTHER = "other"
SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800, 2_592_000)
"""Bounds of the histograms: an attempt takes milliseconds, a saga may take a month."""

AGE = "sagadsl_undo_age_seconds"
TIMES = ("sagadsl_saga_seconds", "sagadsl_step_seconds", "sagadsl_undo_seconds", "sagadsl_pause_seconds", AGE)


class Meters:
    """Counts what the sagas of one process do."""

    def __init__(self, meter: MetricMeter) -> None:
        self._meter = meter
        self._names: set[tuple[str, str]] = set()
        count, time = meter.create_counter, meter.create_histogram_float
        self._began = count("sagadsl_sagas_started_total", "Sagas that have begun.")
        self._ended = count("sagadsl_sagas_ended_total", "Sagas that have ended, by status.")
        self._saga = time("sagadsl_saga_seconds", "How long sagas took, by status.", "s")
        self._step = time("sagadsl_step_seconds", "How long steps took, all attempts together.", "s")
        self._undo = time("sagadsl_undo_seconds", "How long it took to undo a step.", "s")
        self._not_undone = count("sagadsl_undo_failures_total", "Compensations that have failed for good.")
        self._waiting = count("sagadsl_pauses_total", "How often something began to wait for an operator.")
        self._waited = time("sagadsl_pause_seconds", "How long something waited for an operator.", "s")
        self._undo_age = time(AGE, "How old an undo was when it was tried, by its first scheduling.", "s")
        self._again = count("sagadsl_retries_total", "Attempts after the first one.")

    def saga_began(self, saga: str) -> None:
        self._count(self._began, saga)

    def saga_over(self, saga: str, status: str, seconds: float) -> None:
        self._count(self._ended, saga, status=status)
        self._time(self._saga, seconds, saga, status=status)

    def step_over(self, saga: str, step: str, status: str, seconds: float) -> None:
        self._time(self._step, seconds, saga, step, status=status)

    def undo_over(self, saga: str, step: str, status: str, seconds: float) -> None:
        self._time(self._undo, seconds, saga, step, status=status)

    def undo_failed(self, saga: str, step: str) -> None:
        self._count(self._not_undone, saga, step)

    def waits(self, saga: str, what: str) -> None:
        self._count(self._waiting, saga, what=what)

    def decided(self, saga: str, what: str, seconds: float) -> None:
        self._time(self._waited, seconds, saga, what=what)

    def undo_tried(self, saga: str, step: str, seconds: float) -> None:
        self._time(self._undo_age, seconds, saga, step)

    def tried_again(self, saga: str, step: str, what: str) -> None:
        self._count(self._again, saga, step, what=what)

    def _count(self, counter: MetricCounter, saga: str, step: str = "", **more: str) -> None:
        counter.add(1, self._labels(saga, step, more))

    def _time(self, histogram: MetricHistogramFloat, seconds: float, saga: str, step: str = "", **more: str) -> None:
        histogram.record(max(seconds, 0.0), self._labels(saga, step, more))

    def _labels(self, saga: str, step: str, more: dict[str, str]) -> MetricAttributes:
        if (saga, step) not in self._names:
            if len(self._names) >= MOST_NAMES:
                saga, step = OTHER, OTHER if step else ""
            else:
                self._names.add((saga, step))
        return {"saga": saga, **({"step": step} if step else {}), **more}
