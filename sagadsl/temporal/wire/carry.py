"""What one run hands to another beside input and definition: the third of the start arguments. Replay-critical.

It differs from run to run: what a parent wants, what continue-as-new hands on.

Pure: knows of Temporal only what a payload is.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from temporalio.api.common.v1 import Payload

from sagadsl.engine.facts import Error
from sagadsl.engine.squeeze import inflated, packed, squeezed, unpacked
from sagadsl.immutable import Immutable
from sagadsl.language.paths import is_generation
from sagadsl.temporal.wire.arguments import to_payload
from sagadsl.temporal.wire.definitions import InvalidDefinition

_LONGEST_VERSION = 170
"""Characters of the longest version that a definition may have; see the schema."""

_COMPRESSED = b"binary/sagadsl-json-zlib"


class Carry(Immutable):
    """What one run was handed beside input and definition.

    Attributes:
        wants_journal: The parent wants ``{"output", "journal"}`` instead of the output.
        journal: Undo what this snapshot says was done, and nothing else; ``failure`` is why. It may be packed.
        state: Go on from this snapshot: continue-as-new, or a saga that is resumed.
        refused: Signals that were not taken: name, reason, time.
        generation: Tells a saga that begins anew from the one that has ended under the same id; see
            ``language.paths``.
        from_folder: The definition came from a worker's own folder, and from no client.
        inherit: The request to take up the work of a closed run; see ``inheritance``.
        version: The version of the definition that the worker shall take from its folder; empty for the newest.
    """

    wants_journal: bool = False
    journal: Any = None
    failure: Error | None = None
    state: Any = None
    refused: tuple[Mapping[str, Any], ...] = ()
    generation: str = ""
    from_folder: bool = False
    inherit: Any = None
    version: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether the run is to go on with what another one has done, or to undo it."""
        return self.state is not None or self.journal is not None or self.inherit is not None

    def to_json(self) -> dict[str, Any]:
        data = self._data()
        return data | {name: packed(data[name]) for name in ("journal", "state") if name in data}

    def _data(self) -> dict[str, Any]:
        data: dict[str, Any] = {}
        if self.wants_journal:
            data["wants_journal"] = True
        if self.journal is not None:
            data["journal"] = self.journal
        if self.failure is not None:
            why = self.failure
            data["failure"] = [why.type, why.message, why.step, [list(cause) for cause in why.causes]]
        if self.state is not None:
            data["state"] = self.state
        if self.refused:
            data["refused"] = list(self.refused)
        if self.generation:
            data["generation"] = self.generation
        if self.from_folder:
            data["from_folder"] = True
        if self.version:
            data["version"] = self.version
        return data

    def to_payload(self, most: int) -> Payload | None:
        """Return the carry as one payload of at most *most* bytes; ``None`` when it is larger.

        A large one is compressed. A carry that its reader would refuse is not written.
        """
        found = squeezed(self._data())
        if found is None:
            return None
        data, is_compressed = found
        payload = Payload(metadata={"encoding": _COMPRESSED}, data=data) if is_compressed else to_payload(data)
        return payload if payload.ByteSize() <= most else None

    @classmethod
    def from_json(cls, data: Any) -> Carry:
        """Raises ``InvalidDefinition`` for anything that ``to_json`` would not give."""
        if data is None:
            return cls()
        try:
            failure = data.get("failure")
            return cls(
                wants_journal=data.get("wants_journal") is True,
                journal=unpacked(data.get("journal")),
                failure=_error(*failure) if failure else None,
                state=unpacked(data.get("state")),
                refused=tuple(dict(each) for each in data.get("refused", ())),
                generation=_generation(data.get("generation", "")),
                from_folder=data.get("from_folder") is True,
                inherit=data.get("inherit"),
                version=_version(data.get("version", "")),
            )
        except (AttributeError, TypeError, ValueError, IndexError, zlib.error) as error:
            raise InvalidDefinition((f"the third argument is not one that sagadsl makes: {error}",)) from error


def is_compressed(payload: Payload) -> bool:
    """Whether a payload is a carry that ``Carry.to_payload`` has compressed."""
    return payload.metadata.get("encoding") == _COMPRESSED


def from_payload(payload: Payload) -> Any:
    """Return the data of a compressed payload; ``None`` for any other. Raises ``InvalidDefinition``."""
    if not is_compressed(payload):
        return None
    try:
        return inflated(payload.data)
    except (ValueError, zlib.error) as error:
        raise InvalidDefinition((f"the third argument cannot be read: {error}",)) from error


def _generation(data: Any) -> str:
    if data != "" and not (isinstance(data, str) and is_generation(data)):
        raise ValueError(f"`generation` must be 1 to 32 letters and digits, found {data!r}")
    return str(data)


def _version(data: Any) -> str:
    if not isinstance(data, str) or len(data) > _LONGEST_VERSION:  # it is compared with names, and told
        raise ValueError(f"`version` must be a text of at most {_LONGEST_VERSION} characters")
    return data


def _error(type_: str, message: str, step: str, causes: list[list[str]]) -> Error:
    return Error(type_, message, step, tuple((cause[0], cause[1]) for cause in causes))
