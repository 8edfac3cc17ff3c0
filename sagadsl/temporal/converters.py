"""The codec or data converter that a user names, as every client and every worker of ours gets it."""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace

from temporalio.converter import DataConverter, PayloadCodec

from sagadsl.errors import SagadslError
from sagadsl.plugins.isolation import contained, place_in
from sagadsl.plugins.texts import described
from sagadsl.temporal.settings import ShownSetting


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


def converter_of(named: ShownSetting) -> DataConverter:
    """Return the data converter that a setting names, the SDK's own without one. Raises ``CodecUnusable``."""
    if named.is_default:
        return DataConverter.default
    found = _found(named)
    if callable(found) and not isinstance(found, DataConverter | PayloadCodec):
        try:
            with contained():
                found = found()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise CodecUnusable(named, _why(named, error)) from error
    match found:
        case DataConverter():
            return found
        case PayloadCodec():
            return replace(DataConverter.default, payload_codec=found)
    raise CodecUnusable(named, f"it is `{type(found).__name__}`")


def _found(named: ShownSetting) -> object:
    module, _, name = named.value.partition(":")
    if not module or not name:
        raise CodecUnusable(named, "it names no module and attribute")
    folder = os.getcwd()
    if folder not in sys.path:  # as for `--module`
        sys.path.insert(0, folder)
    try:
        with contained():
            found: object = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise CodecUnusable(named, _why(named, error)) from error
    return found


def _why(named: ShownSetting, error: BaseException) -> str:
    place = place_in(error, named.value.partition(":")[0])
    return described(error) + (f" ({place})" if place else "")
