"""The signatures that an envelope has beside its definitions, and whether a worker trusts them. Replay-critical.

They stand in the envelope, so that child sagas, later runs and runs that take up a closed one have them, too. A worker
judges an envelope once, when a run begins with it; the history records a refusal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sagadsl.language.build import digest
from sagadsl.language.notation.json_text import read_json
from sagadsl.temporal.wire.definitions import InvalidDefinition
from sagadsl.trust.judge import Trust
from sagadsl.trust.signatures import Signatures

SIGNATURES = "signatures"
"""The key of the envelope, and of a request to migrate: signatures by digest and key."""


def of_envelope(signatures: Signatures, definitions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the part of an envelope with those of *signatures* that are of its *definitions*."""
    digests = dict.fromkeys(map(digest, definitions))
    found = {each: dict(signatures[each]) for each in digests if each in signatures}
    return {SIGNATURES: found} if found else {}


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same part for a run that migrates: what it has done is undone as its former definition says."""
    found = {**old.get(SIGNATURES, {}), **new.get(SIGNATURES, {})}
    return {SIGNATURES: found} if found else {}


def are_signatures(data: Any) -> bool:
    """Whether *data* has the form of signatures by digest and key."""
    each = list(data.values()) if isinstance(data, dict) else [None]
    return all(isinstance(keys, dict) and all(isinstance(text, str) for text in keys.values()) for keys in each)


def signatures_in(raw: bytes) -> dict[str, Any]:
    """Return the part of an envelope with its signatures, to be sent on."""
    return merged(read_json(raw), {})


def distrusted_in(raw: bytes, trust: Trust) -> str:
    """Return why *trust* does not take what is in an envelope; empty if it does.

    Raises ``InvalidDefinition`` for anything that is no envelope.
    """
    try:
        data = read_json(raw)
        former = list(data.get("former", {}).values())  # a run that has migrated undoes by them
        packages = [data, *former]
        definitions = [part for each in packages for part in (each["definition"], *each.get("children", {}).values())]
        signatures = data.get(SIGNATURES, {})
        if not are_signatures(signatures):
            raise TypeError(f"`{SIGNATURES}` must be an object of texts by digest and key")
        return trust.why_not(definitions, signatures)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise InvalidDefinition((f"what is to be trusted is no definition with its child sagas: {error}",)) from error
