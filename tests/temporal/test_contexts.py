"""What a data converter learns of the data that it converts: the saga and the call that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from sagadsl.temporal.link.codec import looks_at_contexts, patient
from tests.conftest import Server
from tests.engine.scenes import act, plain, saga
from tests.temporal.play import play

pytestmark = pytest.mark.temporal


class Noting(PayloadCodec, WithSerializationContext):
    """Changes nothing, and notes for which calls it was asked to encode something."""

    def __init__(self, noted: set[str], context: SerializationContext | None = None) -> None:
        self.noted, self.context = noted, context

    def with_context(self, context: SerializationContext) -> Noting:
        return Noting(self.noted, context)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        if isinstance(self.context, ActivitySerializationContext):
            self.noted.add(self.context.activity_id or "")
        return [*payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [*payloads]


class OfOneNamespace(DefaultPayloadConverter, WithSerializationContext):
    def with_context(self, context: SerializationContext) -> Self:
        is_own = isinstance(context, WorkflowSerializationContext) and context.namespace == "own"
        return type(self)() if is_own else self


def test_a_codec_hears_to_which_call_the_data_belongs(server: Server) -> None:
    noted: set[str] = set()

    played = play(server.address, saga(act("a"), plain("b", local=True)), codec=Noting(noted))

    assert played.ended.status == "completed"
    assert {"a", "b"} <= noted


def test_only_a_converter_that_asks_for_contexts_gets_them() -> None:
    assert not looks_at_contexts(DataConverter.default)
    assert looks_at_contexts(replace(DataConverter.default, payload_codec=Noting(set())))
    assert looks_at_contexts(replace(DataConverter.default, payload_converter_class=OfOneNamespace))


def test_a_converter_that_looks_at_some_contexts_gets_them() -> None:
    converter = patient(replace(DataConverter.default, payload_converter_class=OfOneNamespace))

    other, own = (converter.with_context(WorkflowSerializationContext(each, "w")) for each in ("other", "own"))

    assert other is converter
    assert own.payload_converter is not converter.payload_converter
