"""The codec or data converter that was chosen, as every client and every worker of ours gets it."""

from __future__ import annotations

import os
from dataclasses import replace

from temporalio.converter import DataConverter, PayloadCodec

from sagadsl.errors import SagadslError
from sagadsl.plugins.isolation import contained
from sagadsl.temporal.link.codec_setting import CodecSetting
from sagadsl.temporal.link.imported import imported, why
from sagadsl.temporal.link.settings import ConnectionSettings
from sagadsl.temporal.link.shown import ShownSetting


class CodecUnusable(SagadslError):
    """What was named is no codec."""

    code = "SD916"
    exit_code = 3

    def __init__(self, named: ShownSetting, why: str) -> None:
        super().__init__(named, why)
        self.named, self.why = named, why

    def __str__(self) -> str:
        return f"`{self.named.value}` ({self.named.origin}) cannot be used as payload codec: {self.why}"

    @property
    def help(self) -> str:
        return (
            "write `MODULE:NAME`, where NAME is a `PayloadCodec` or a `DataConverter` of `temporalio.converter`, or a "
            "function without arguments that returns one"
        )


def converter_of(chosen: CodecSetting, namespace: str) -> DataConverter:
    """Return the data converter that a setting chooses, the SDK's own without one.

    Raises:
        CodecUnusable: What was named is no codec.
        KeyUnusable: A key cannot be had.
    """
    match chosen.kind:
        case "none":
            return DataConverter.default
        case "keys":
            from sagadsl.temporal.link.encryption import encrypting  # noqa: PLC0415 # only who encrypts pays for it
            from sagadsl.temporal.link.keys import read_keys  # noqa: PLC0415

            return encrypting(read_keys(chosen.keys, os.environ))
        case "endpoint":
            from sagadsl.temporal.link.remote_codec import asking  # noqa: PLC0415

            return asking(chosen.value, namespace, chosen.auth)
        case "module":
            return _own(chosen)


def converter_by(settings: ConnectionSettings) -> DataConverter:
    """Return the converter that settings choose: with their codec, and with their storage for large payloads.

    Raises:
        CodecUnusable, KeyUnusable, StorageFailed: See there.
    """
    converter = converter_of(settings.codec, settings.namespace.value)
    if settings.storage.kind == "none":
        return converter
    from sagadsl.temporal.link.storage import with_storage  # noqa: PLC0415 # only who has one pays for it

    return with_storage(converter, settings.storage)


def _own(named: ShownSetting) -> DataConverter:
    try:
        found = imported(named.value)
        if callable(found) and not isinstance(found, DataConverter | PayloadCodec):
            with contained():
                found = found()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CodecUnusable(named, why(named.value, error)) from error
    match found:
        case DataConverter():
            return found
        case PayloadCodec():
            return replace(DataConverter.default, payload_codec=found)
    raise CodecUnusable(named, f"it is `{type(found).__name__}`")
