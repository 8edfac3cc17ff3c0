"""Whether the data of a run fit another definition: its input, its signals, and what is still to be read. R74."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sagadsl.engine.pack import kept_outputs
from sagadsl.engine.records import Progress, Record
from sagadsl.engine.scope import step_path
from sagadsl.engine.verdict import Fits, Judging, Reason
from sagadsl.immutable import replace
from sagadsl.language.expressions.values import needed
from sagadsl.language.kinds import RenderedAt
from sagadsl.language.model import WaitFor
from sagadsl.language.walk import Site, sites


def judge_data(judging: Judging, fits: Fits) -> None:
    """Judge after the places: what is said of a step that has none is not said twice."""
    of = _Data(judging)
    of.signals(fits)
    of.input(fits)
    of.expressions()


class _Data:
    def __init__(self, judging: Judging) -> None:
        self.judging = judging
        self._keeps = kept_outputs(judging.old, judging.state)

    def signals(self, fits: Fits) -> None:
        """R74: what waits for a signal waits for the same one; a signal that is kept fits."""
        for name, paths in self.judging.state.waiting.items():
            for path in paths:
                step_id = self.judging.state.records[path].step
                now = None if step_id in self.judging.misplaced else self.judging.new.places[step_id].step.body
                if isinstance(now, WaitFor) and name not in now.signals:
                    message = f"`{step_id}` waits for the signal `{name}`, and would wait for `{now.either}`"
                    self.judging.no("R74", step_id, message, "wait_for")
        for name, payloads in self.judging.state.signals.items():
            if name not in self.judging.new.signals:
                message = f"a signal `{name}` is kept, and nothing in the new definition waits for it"
                self.judging.no("R74", "", message, "steps")
                continue
            for payload in payloads:
                if problems := fits(self.judging.new.signals[name], name, payload):
                    at = next((step for step in self._waits(name)), "")
                    self.judging.no(
                        "R74", at, f"a signal `{name}` is kept that does not fit any more: {'; '.join(problems)}"
                    )

    def _waits(self, name: str) -> Iterator[str]:
        for step_id, place in self.judging.new.places.items():
            if isinstance(place.step.body, WaitFor) and name in place.step.body.signals:
                yield step_id

    def input(self, fits: Fits) -> None:
        """R74: the input fits as it is; defaults are not filled in anew."""
        if self.judging.new.input_schema != self.judging.old.input_schema and (
            problems := fits(self.judging.new.input_schema, "input", self.judging.state.input)
        ):
            self.judging.no("R74", "", f"the input of this run does not fit any more: {'; '.join(problems)}", "input")

    def expressions(self) -> None:
        """R74: what is still computed finds what it reads."""
        before = {chain for site in sites(self.judging.old) for chain in needed(site.value)}
        for site in sites(self.judging.new):
            if self._is_to_come(site):
                needs = needed(site.value) - before
                for chain in site.value.reads:
                    self._reads(site, chain, is_safe=chain not in needs)

    def _is_to_come(self, site: Site) -> bool:
        """Whether a value may still be computed in this run."""
        step = site.step
        if site.route[0] == "queries":
            return False  # nothing of the run follows from it
        if site.route[0] == "timeout":
            return False  # the timer of the saga is set when the saga begins
        if step is None or site.route[0] == "defaults":  # many steps share it, and the site names the first of them
            return self.judging.forward or site.phase is not RenderedAt.END
        if step.id not in self.judging.new.places or not self.judging.may_begin(step.id):
            return False  # what tells of a pause may change as it likes: nothing follows from it (R64)
        place = self.judging.new.places[step.id]
        if any(place.loops):
            return True
        path = step_path(place, {})
        record = None if path is None else self.judging.state.records.get(path)
        if record is None:
            around = next((each for each in reversed(place.blocks) if each in self.judging.new.places), None)
            if around is None:
                return True
            block = self.judging.state.records.get(step_path(self.judging.new.places[around], {}) or "")
            return block is None or not block.ended
        if site.phase in (RenderedAt.BEFORE, RenderedAt.UNDO):  # it begins again when an operator says so
            return record.progress is Progress.PAUSED
        return not record.ended

    def _reads(self, site: Site, chain: tuple[str, ...], *, is_safe: bool) -> None:
        if chain[0] == "input":
            if not is_safe and (lost := _lost(self.judging.state.input, chain[1:])):
                why = f"the input of this run has no `{lost}`, and defaults are not filled in anew"
                self._cannot_read(site, chain, why)
        elif len(chain) > 2 and chain[0] == "steps" and chain[2] == "output" and chain[1] in self.judging.new.places:
            place = self.judging.new.places[chain[1]]
            path = None if any(place.loops) else step_path(place, {})
            record = None if path is None else self.judging.state.records.get(path)
            if record is None or record.step in self.judging.misplaced or not record.ended or not record.has_output:
                self._reads_open(site, chain, record)
            elif record.output is None and not self._keeps(record.step):
                self._cannot_read(site, chain, f"the run has not kept the output of `{record.step}`")
            elif not is_safe and (lost := _lost(record.output, chain[3:])):
                self._cannot_read(site, chain, f"the output of `{record.step}` in this run has no `{lost}`")

    def _reads_open(self, site: Site, chain: tuple[str, ...], record: Record | None) -> None:
        """Judge the output of a block that is not over: what has ended in it may be forgotten already."""
        frame = None if record is None else self.judging.state.frames.get(record.path)
        if record is None or frame is None or not frame.outputs or record.step in self.judging.misplaced:
            return
        if all(each is None for each in frame.outputs.values()) and not self._keeps(record.step):
            self._cannot_read(site, chain, f"the run has not kept what has ended in `{record.step}`")

    def _cannot_read(self, site: Site, chain: tuple[str, ...], why: str) -> None:
        who = "the output of the saga" if site.step is None else f"`{site.step.id}`"
        reason = Reason("R74", "" if site.step is None else site.step.id, site.route, "")
        reason = replace(reason, message=f"{who} reads `{'.'.join(chain)}`: {why}")
        if reason not in self.judging.reasons:
            self.judging.reasons.append(reason)


def _lost(value: Any, keys: Sequence[str]) -> str:
    """Return the key of a chain that an object does not have; empty when all are there, or nobody can tell."""
    for key in keys:
        if not isinstance(value, dict):
            return ""
        if key not in value:
            return key
        value = value[key]
    return ""
