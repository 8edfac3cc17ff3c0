"""Where large payloads go instead of Temporal's database, and which setting says so.

A flag wins over a variable, this over ``[storage]`` of ``sagadsl.toml``. This module opens no storage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from sagadsl.plugins.settings import key_meant, table_of
from sagadsl.temporal.link.shown import DEFAULT, SettingsUnusable, ShownSetting

VARIABLE = "SAGADSL_STORAGE"
THRESHOLD = 256 * 1024
"""Bytes from which on a payload is stored, if nobody says it; the SDK's own default."""

_BUCKET = re.compile(r"s3://([a-zA-Z0-9._-]+)/?")
_FORMS = "`file:FOLDER` or `s3://BUCKET`"
_OF_FOLDER, _OF_BUCKET = frozenset({"folder", "threshold"}), frozenset({"bucket", "region", "endpoint", "threshold"})


class StorageSetting(ShownSetting):
    """The storage, and where the choice comes from.

    Attributes:
        value: As it is shown: ``file:FOLDER`` or ``s3://BUCKET``.
        where: The folder, or the bucket.
        threshold: Bytes from which on a payload is stored.
        region, endpoint: Of the bucket; ``None`` as the AWS tools have it.
    """

    kind: Literal["none", "folder", "bucket"] = "none"
    where: str = ""
    threshold: int = THRESHOLD
    region: str | None = None
    endpoint: str | None = None


NO_STORAGE = StorageSetting("none", DEFAULT)


def storage_setting(flag: str | None, environ: Mapping[str, str]) -> StorageSetting:
    """Return the storage that is to be used.

    A flag and a variable say where it is; the rest, as the threshold, stands in the table if that names the same.

    Raises:
        SettingsUnusable: It cannot be right.
        SettingsWrong: ``sagadsl.toml`` cannot be read.
    """
    own = _of_project()
    for text, origin in ((flag, "--storage"), (environ.get(VARIABLE), VARIABLE)):
        if text:
            named = _read(text, origin)
            return own if (own.kind, own.where) == (named.kind, named.where) else named
    return own


def _read(text: str, origin: str) -> StorageSetting:
    if text.startswith("file:") and (folder := text.removeprefix("file:")):
        return StorageSetting(text, origin, "folder", folder)
    if (bucket := _BUCKET.fullmatch(text)) is not None:
        return StorageSetting(text, origin, "bucket", bucket[1])
    raise SettingsUnusable(f"`{text[:100]}` names no storage ({origin})", f"write {_FORMS}")


def _of_project() -> StorageSetting:
    table, file = table_of(Path.cwd())
    if "storage" not in table:
        return NO_STORAGE
    origin = f"[storage] of {file}"
    chosen = table["storage"]
    if not isinstance(chosen, dict):
        raise SettingsUnusable(f"{origin} is no table")
    if unknown := sorted(chosen.keys() - {*_OF_FOLDER, *_OF_BUCKET}):
        named = key_meant(unknown[0], sorted({*_OF_FOLDER, *_OF_BUCKET}), also={"url": "endpoint"})
        raise SettingsUnusable(f"{origin} has `{unknown[0]}`", named)
    if ("folder" in chosen) == ("bucket" in chosen):
        raise SettingsUnusable(f"{origin} has to name a `folder` or a `bucket`", "one of them, and not both")
    allowed = _OF_FOLDER if "folder" in chosen else _OF_BUCKET
    if unknown := sorted(chosen.keys() - allowed):
        raise SettingsUnusable(f"{origin} has `{unknown[0]}`", f"it may have {', '.join(sorted(allowed))}")
    texts = {key: _text(chosen, key, origin) for key in ("folder", "bucket", "region", "endpoint") if key in chosen}
    threshold = chosen.get("threshold", THRESHOLD)
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1_000 <= threshold <= 2_000_000:
        raise SettingsUnusable(f"`threshold` of {origin} is no number of bytes from 1,000 to 2,000,000")
    if "folder" in texts:
        return StorageSetting(f"file:{texts['folder']}", origin, "folder", texts["folder"], threshold)
    bucket, region, endpoint = texts["bucket"], texts.get("region"), texts.get("endpoint")
    return StorageSetting(f"s3://{bucket}", origin, "bucket", bucket, threshold, region, endpoint)


def _text(table: Mapping[str, Any], key: str, origin: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value:
        raise SettingsUnusable(f"`{key}` of {origin} is no text")
    return value
