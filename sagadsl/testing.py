"""Sagas under test in Python: ``load(file).given(...).when(...).play()``. With pytest: the fixture ``saga``.

    from sagadsl.testing import load

    transfer = load("definitions/transfer_money.saga.yaml")
    played = transfer.given(mocks={"deposit": {"error": "AccountClosed"}}).play()
    assert played.status == "compensated"

Mocks, moments and names are those of suites.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from sagadsl.errors import SagadslError
from sagadsl.language.analysis.known import Signature
from sagadsl.trial.outputs import Outputs
from sagadsl.trial.play import play
from sagadsl.trial.played import Call, Played
from sagadsl.trial.suite import Suite, read_suite

__all__ = ["Call", "Played", "Scene", "Unplayable", "load"]


class Unplayable(SagadslError):
    """A scene with mistakes: of its definition, its names, or its form.

    Attributes:
        findings: One sentence each.
    """

    code: ClassVar[str] = "SD931"
    exit_code: ClassVar[int] = 1

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__(findings)
        self.findings = findings

    def __str__(self) -> str:
        return "; ".join(self.findings)


@dataclass(frozen=True, slots=True)
class Scene:
    """A saga and what will happen to it. Immutable: each call returns another one.

    Attributes:
        file: The definition.
        signatures: Of activities, to draw outputs of their types.
    """

    file: Path
    input: Any = None
    mocks: Mapping[str, Any] | None = None
    interferences: tuple[Mapping[str, Any], ...] = ()
    signatures: Mapping[str, Signature] | None = None

    def given(self, *, input: Any = None, mocks: Mapping[str, Any] | None = None) -> Scene:
        """Return the scene with this input, and with *mocks* beside those that it has."""
        given = self.input if input is None else input
        return replace(self, input=given, mocks={**(self.mocks or {}), **(mocks or {})})

    def when(self, at: Any, **what: Any) -> Scene:
        """Return the scene with one more interference, e.g. ``when("deposit", cancel=True)``.

        Args:
            at: ``"5s"``, the name of a call, or a mapping such as ``{"status": "paused"}``.
            what: One of ``cancel``, ``timeout``, ``crash``, ``signal``, ``retry``, ``skip``, ``abort``, ``pause``,
                ``resume``; and ``after``, ``payload``, ``by``, ``why``.
        """
        return replace(self, interferences=(*self.interferences, {"at": at, **what}))

    def play(self) -> Played:
        """Play it in virtual time. Raises ``Unplayable``; what may be meant so is a warning of Python."""
        suite = self._suite()
        for each in suite.findings:
            warnings.warn(f"{each.code}: {each.message}; {each.help}", stacklevel=2)
        (playable,) = suite.cases
        target = playable.target
        outputs = Outputs((target.saga, *target.sagas.values()), self.signatures)
        return play(target.saga, playable.case, sagas=target.sagas, outputs=outputs)

    def _suite(self) -> Suite:
        given = {"mocks": dict(self.mocks or {}), **({} if self.input is None else {"input": self.input})}
        case: dict[str, Any] = {"name": "scene", "given": given, "then": {"refused": 0}}
        if self.interferences:
            case["when"] = [dict(each) for each in self.interferences]
        suite = _suite(self.file, case)
        if suite.errors or not suite.cases:
            raise Unplayable(tuple(f"{each.code}: {each.message}" for each in suite.errors))
        return suite


def load(file: str | Path) -> Scene:
    """Return a scene of the definition in *file*. Raises ``Unplayable`` when it cannot be used."""
    scene = Scene(Path(file))
    scene._suite()
    return scene


def _suite(file: Path, case: Mapping[str, Any]) -> Suite:
    data = {"sagadsl_test": 1, "saga": file.name, "cases": [case]}
    return read_suite(json.dumps(data), file.with_name("scene.saga-test.yaml"))
