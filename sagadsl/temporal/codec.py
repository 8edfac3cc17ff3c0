"""A user's payload codec: how long it makes payloads, what happens when it fails, and when there is none.

Every client and worker of ours has its codec in a ``PatientCodec``. Knows nothing of sagas.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError

from sagadsl.errors import SagadslError
from sagadsl.temporal.stretch import DOUBTFUL_BYTES, LONGEST, PLAIN, Stretch, TooLong, grade

ATTEMPTS = 5
_PAUSE_SECONDS = 0.2
"""Before the second attempt; it doubles. Five attempts take three seconds: a workflow task has ten."""

_SAMPLE_BYTES = 128 * 1024
_READABLE = (b"json/", b"binary/null", b"binary/plain", b"binary/protobuf", b"binary/sagadsl-")
"""How the encodings begin that are read without a codec."""

_Coding = Callable[[PayloadCodec, Sequence[Payload]], Awaitable[list[Payload]]]


class CodecFailed(SagadslError, ApplicationError):
    """The user's codec has raised an error, several times. As an error of an activity it is no word of the function."""

    code = "SD914"
    exit_code = 3

    def __init__(self, doing: str, error: Exception) -> None:
        self.why = f"the payload codec cannot {doing}: {type(error).__name__}: {error}"[:1_000]
        ApplicationError.__init__(self, self.why, type=type(self).__name__)

    def __str__(self) -> str:
        return self.why

    @property
    def help(self) -> str:
        return "see to what the codec needs (its keys, its server), and try again: nothing is lost"


class CodecMissing(SagadslError, ApplicationError):
    """Data is encoded in a way that nobody here can read."""

    code = "SD915"
    exit_code = 3

    def __init__(self, encoding: str) -> None:
        self.why = f"the data cannot be read here: it is encoded as `{encoding[:100]}`, and there is no codec for that"
        ApplicationError.__init__(self, self.why, type=type(self).__name__)

    def __str__(self) -> str:
        return self.why

    @property
    def help(self) -> str:
        return "name the codec that the workers have: `--codec MODULE:NAME`, or the variable `SAGADSL_CODEC`"


@dataclass(slots=True)
class _Measured:
    """What all copies of a codec know: it is measured once."""

    stretch: Stretch | None = None


class PatientCodec(PayloadCodec, WithSerializationContext):
    """The user's codec, tried again where it fails, and measured before it is first used.

    An error of it is always ours, and always worth another attempt: the SDK would end a run for good for an error
    that says of itself that it is not.
    """

    def __init__(self, codec: PayloadCodec | None, measured: _Measured | None = None) -> None:
        self.codec = codec
        self._measured = measured or _Measured(PLAIN if codec is None else None)

    @property
    def stretch(self) -> Stretch:
        """How much longer payloads become at the most; before it is measured, the most that is taken at all."""
        return self._measured.stretch or LONGEST

    def with_context(self, context: SerializationContext) -> PatientCodec:
        codec: object = self.codec
        if not isinstance(codec, WithSerializationContext):
            return self
        bound: Any = codec.with_context(context)
        return PatientCodec(bound, self._measured)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode by the user's codec. Raises ``CodecFailed``."""
        if self.codec is None:
            return list(payloads)
        await self.measure()
        return await _patiently("encode", self.codec, payloads, lambda codec, given: codec.encode(given))

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode by the user's codec. Raises ``CodecFailed``, ``CodecMissing``."""
        if self.codec is None:
            decoded = list(payloads)
        else:
            await self.measure()
            decoded = await _patiently("decode", self.codec, payloads, lambda codec, given: codec.decode(given))
        for each in decoded:
            encoding = each.metadata.get("encoding", b"")
            if encoding and not encoding.startswith(_READABLE):
                raise CodecMissing(encoding.decode("utf-8", "replace"))
        return decoded

    async def measure(self) -> Stretch:
        """Return how much longer payloads become. Raises ``CodecFailed``, and for a codec that is too long, too."""
        if self._measured.stretch is None:
            assert self.codec is not None
            samples = [_sample(0), _sample(_SAMPLE_BYTES)]
            sizes = [
                (
                    sample.ByteSize(),
                    _size(await _patiently("encode", self.codec, [sample], lambda codec, given: codec.encode(given))),
                )
                for sample in samples
            ]
            try:
                self._measured.stretch = grade(*sizes)
            except TooLong as error:
                raise CodecFailed("be used", error) from None
        return self._measured.stretch


async def _patiently(doing: str, codec: PayloadCodec, payloads: Sequence[Payload], code: _Coding) -> list[Payload]:
    attempt = 1
    while True:
        try:
            return await code(codec, payloads)
        except Exception as error:  # the user's code may raise anything
            if attempt == ATTEMPTS:
                raise CodecFailed(doing, error) from error
        await asyncio.sleep(_PAUSE_SECONDS * 2 ** (attempt - 1))
        attempt += 1


def _sample(size: int) -> Payload:
    """Return a payload that no codec can make shorter."""
    return Payload(metadata={"encoding": b"json/plain"}, data=random.Random(1).randbytes(size))


def _size(payloads: Sequence[Payload]) -> int:
    return sum(each.ByteSize() for each in payloads)


def patient(converter: DataConverter) -> DataConverter:
    """Return *converter* with its codec in a ``PatientCodec``."""
    if isinstance(converter.payload_codec, PatientCodec):
        return converter
    return replace(converter, payload_codec=PatientCodec(converter.payload_codec))


def patient_client(client: Client) -> Client:
    """Return *client* with its codec in a ``PatientCodec``; its plugins have done their work already."""
    config = client.config(active_config=True)
    converter = patient(config["data_converter"])
    if converter is config["data_converter"]:
        return client
    config["data_converter"], config["plugins"] = converter, []
    return Client(**config)


def stretch_of(client: Client) -> Stretch:
    """Return how much longer the client's codec makes payloads, at the most."""
    codec = client.data_converter.payload_codec
    if codec is None:
        return PLAIN
    return codec.stretch if isinstance(codec, PatientCodec) else LONGEST


async def encoded_size(converter: DataConverter, payloads: Sequence[Payload]) -> int:
    """Return how many bytes *payloads* have as they are or encoded, whichever is more; see ``Stretch.fits``."""
    size = _size(payloads)
    if converter.payload_codec is None or size <= DOUBTFUL_BYTES:
        return size
    return max(size, _size(await converter.payload_codec.encode(payloads)))


def of_workflow(client: Client, id: str) -> DataConverter:
    """Return the converter for what a workflow is sent."""
    return client.data_converter.with_context(WorkflowSerializationContext(client.namespace, id))
