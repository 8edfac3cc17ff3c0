"""The start arguments of a saga: input, definition, and what an earlier run left. Replay-critical.

A client starts a saga with ``[input]`` if the workers know its definition by name, else with
``[input, envelope]``; a run starts another one with ``[input, envelope, carry]``. The envelope holds
the definition and the definitions of its child sagas, so that an edited file does not change a run
that has begun. It is the same JSON for every run of a definition, so each process decodes, checks
and builds it once. The carry (``carry``) differs from run to run.

Pure: knows of Temporal only what a payload is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from typing import Any

from temporalio.api.common.v1 import Payload

from sagadsl.engine.hiding import Marked, Marks, are_marks, of_child
from sagadsl.engine.journal import FIRST_RULES, RULES
from sagadsl.engine.squeeze import compact
from sagadsl.immutable import Hidden, Immutable, field, replace
from sagadsl.language.build import build
from sagadsl.language.model import Saga
from sagadsl.language.notation.json_text import read_json
from sagadsl.language.schema.conform import ValueCheck, checker
from sagadsl.temporal.wire.definitions import InvalidDefinition, checked
from sagadsl.temporal.wire.trusting import SIGNATURES, are_signatures, merged, of_envelope
from sagadsl.trust.signatures import NO_SIGNATURES, Signatures

FORMAT = 1
"""Version of the envelope's form; its key is ``sagadsl``."""

WARNINGS = "warnings"
"""Key of the memo under which a completed saga says why its output is null; absent otherwise."""

REJECTED = "rejected"
"""Key of the memo under which a saga that has said no names its error: type, message and step; absent otherwise."""

TAKES_UP = "takes_up"
"""Key of the memo under which a run names the closed run whose work it has taken up, or after which it begins anew."""

to_bytes = compact

_CACHED = 128
_OPENED = 512
"""How many envelopes stay opened. One takes up to 0.1 MB; without it, each replay of its runs would parse it again."""


class RunOptions(Immutable):
    """How a run behaves, whatever its definition.

    Attributes:
        status_attribute: The search attribute ``SagaStatus`` is registered, so the run may set it.
        name_attributes: ``SagaName`` and ``SagaVersion`` are registered, and whoever started the run may not have
            set them.
        continue_after_events: Continue as new at this length of history, instead of when the server suggests it.
        rules: Version of the rules (``State.rules``); ``None`` when whoever started the run did not say.
        index: The search attributes of the definition, and of its children, that are registered, each with its type.
        page: The address of the gateway's page, without a slash at its end; empty when nobody has said it.
        secrets: Where the activities that it calls have secrets in their inputs and outputs; see ``engine.hiding``.
    """

    status_attribute: bool = False
    continue_after_events: int | None = None
    rules: int | None = None
    name_attributes: bool = False
    page: str = ""
    index: Mapping[str, str] = field(default_factory=dict)
    secrets: Marks = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {name: value for name in _OPTIONS if (value := getattr(self, name))}


DEFAULTS = RunOptions()

LONGEST_PAGE = 1_000
"""The most characters of the address of the gateway's page."""

INDEXED = "indexed"
"""Key of the memo of runs that tell the index when they wait for an operator, and when they have failed."""

SECRETS = "secrets"
"""Key of the memo of runs whose definition, or whose activities, mark values as secret."""

_OPTIONS = RunOptions.__struct_fields__
_FORMER = "former"
"""The key under which a run that has migrated keeps its former definitions, by their digests; no client sends it."""
_ENVELOPE = frozenset({"sagadsl", "definition", "children", "options", SIGNATURES})


class Package(Immutable):
    """A definition that is ready to run, with those of its children.

    Attributes:
        saga: The model.
        definition: The data that it was built from.
        children: The definitions of all sagas below it, by name.
        raw: The envelope that it came in, as JSON.
        check_input: Says what is wrong with an input.
        check_signals: Says what is wrong with the payload of a signal, by the name of the signal.
        marked: Where its data has secrets.
    """

    saga: Saga
    definition: Hidden[Mapping[str, Any]]
    children: Hidden[Mapping[str, Mapping[str, Any]]]
    options: RunOptions
    raw: Hidden[bytes]
    check_input: Hidden[ValueCheck]
    check_signals: Hidden[Mapping[str, ValueCheck]]
    marked: Hidden[Marked]

    def judged_by(self, rules: int) -> Package:
        """Return the same with the checks of a run that began with these rules."""
        if rules != FIRST_RULES:
            return self
        input_, signals = _checks(self.saga, first_rules=True, accepted=True)
        return replace(self, check_input=input_, check_signals=signals)

    def memo(self) -> dict[str, Any]:
        """Return what a run shows of its definition in listings."""
        saga = self.saga
        memo: dict[str, Any] = {"saga": saga.name, "version": saga.version, "digest": saga.digest}
        if self.options.status_attribute:
            memo[INDEXED] = True
        if self.marked.is_any:
            memo[SECRETS] = True
        return memo | ({"labels": dict(saga.labels)} if saga.labels else {})


def envelope(
    definition: Mapping[str, Any],
    children: Mapping[str, Mapping[str, Any]],
    options: RunOptions = DEFAULTS,
    signatures: Signatures = NO_SIGNATURES,
) -> dict[str, Any]:
    """Return the second start argument: *definition* with those of its children, and their *signatures* among all."""
    data: dict[str, Any] = {"sagadsl": FORMAT, "definition": definition}
    if children:
        data["children"] = children
    if chosen := options.to_json():
        data["options"] = chosen
    if signatures:
        data |= of_envelope(signatures, (definition, *children.values()))
    return data


@lru_cache(maxsize=_CACHED)
def child_envelope(raw: bytes, name: str) -> bytes | None:
    """Return the envelope of the child saga *name* as its parent's envelope pins it; ``None`` if it is not there."""
    data = json.loads(raw)
    children = data.get("children", {})
    if name not in children:
        return None
    data.pop(_FORMER, None)
    if marks := data.get("options", {}).get("secrets"):
        data["options"]["secrets"] = of_child(marks)
    return to_bytes({**data, "definition": children[name]})


@lru_cache(maxsize=_CACHED)
def former_envelope(raw: bytes, digest: str) -> bytes:
    """Return the envelope of a former definition that the envelope of a migrated run keeps."""
    data = json.loads(raw)
    kept = data.pop(_FORMER)[digest]
    return to_bytes({**data, "definition": kept["definition"], "children": kept["children"]})


def migrated_envelope(
    raw: bytes, new: Mapping[str, Any], secrets: Marks, needed: Collection[str] = (), digest: str = ""
) -> bytes:
    """Return the envelope of a run that goes on with another definition.

    Args:
        raw: The envelope that it has now; its options stay, but for the places of secrets.
        new: The new ``definition``, with its ``children`` and their ``signatures``.
        secrets: The places of secrets from now on; see ``engine.hiding.handed_on``.
        needed: Digests of the former definitions that still say how to undo something.
        digest: That of the definition that it has now.
    """
    data = json.loads(raw)
    own = {"definition": data.pop("definition"), "children": data.pop("children", {})}
    known = {**data.pop(_FORMER, {}), digest: own}
    data |= {"definition": new["definition"]}
    data |= {"children": new["children"]} if new.get("children") else {}
    data |= merged(data, new)
    if secrets:
        data["options"] = {**data.get("options", {}), "secrets": secrets}
    former = {each: known[each] for each in needed}
    return to_bytes(data | ({_FORMER: former} if former else {}))


def are_same_children(raw: bytes, other: bytes) -> bool:
    """Whether two envelopes hold the same definitions of child sagas."""
    return bool(json.loads(raw).get("children", {}) == json.loads(other).get("children", {}))


def is_same_definition(raw: bytes, own: bytes) -> bool:
    """Whether two envelopes hold the same definition, and agree in the child sagas that both of them have.

    Raises ``InvalidDefinition`` for anything that is no envelope.
    """
    given, known = _parsed(raw), json.loads(own)
    children, theirs = known.get("children", {}), given.get("children", {})
    same = all(theirs[name] == child for name, child in children.items() if name in theirs)
    return same and bool(given["definition"] == known["definition"])


@lru_cache(maxsize=_OPENED)
def open_envelope(raw: bytes, *, trusted: bool = False) -> Package:
    """Return what an envelope holds, checked and built, from a cache. A workflow task opens it with ``slow_checks``.

    Args:
        trusted: It was checked when the run began, perhaps by an older release that accepted what
            this one refuses. So it is only built, and any error is a bug.

    Raises:
        InvalidDefinition: With everything that is wrong.
    """
    data = json.loads(raw) if trusted else _parsed(raw)
    definition, children = data["definition"], data.get("children", {})
    saga = build(definition) if trusted else checked(definition)
    if former := data.get(_FORMER):  # only a run before hands it on: `_parsed` refuses it
        saga = replace(saga, former={digest: build(each["definition"]) for digest, each in former.items()})
    check_input, check_signals = _checks(saga, first_rules=False, accepted=trusted)
    options = RunOptions(**data.get("options", {}))
    return Package(
        saga=saga,
        definition=definition,
        children=children,
        options=options,
        raw=raw,
        check_input=check_input,
        check_signals=check_signals,
        marked=Marked.of(saga, options.secrets, children),
    )


def _checks(saga: Saga, *, first_rules: bool, accepted: bool) -> tuple[ValueCheck, Mapping[str, ValueCheck]]:
    """Return the checks of the input and of the payloads of signals."""
    check = partial(checker, first_rules=first_rules, accepted=accepted)
    signals = {name: check(payload, name) for name, payload in saga.signals.items()}
    return check(saga.input_schema, "input", fill=not first_rules), signals


def _parsed(raw: bytes) -> dict[str, Any]:
    """Return the envelope as data if its form is right. Does not check the definitions in it."""
    try:
        data = read_json(raw)
    except (ValueError, RecursionError) as error:
        raise InvalidDefinition((f"the second argument is not JSON: {error}",)) from error
    problem = _problem(data)
    if problem:
        raise InvalidDefinition((problem,), is_newer=_is_newer(data))
    parsed: dict[str, Any] = data
    return parsed


def _problem(data: Any) -> str:
    if not isinstance(data, dict) or "definition" not in data:
        return 'the second argument must be an object such as `{"sagadsl": 1, "definition": {…}}`'
    version = data.get("sagadsl")
    if version != FORMAT or isinstance(version, bool):
        return f"the second argument has format `{version}`, this worker knows {FORMAT}"
    if unknown := sorted(data.keys() - _ENVELOPE):
        return f"unknown key `{unknown[0]}` beside `definition`"
    children = data.get("children", {})
    if not isinstance(children, dict) or not all(isinstance(child, dict) for child in children.values()):
        return "`children` must be an object of definitions by name"
    options = data.get("options", {})
    if not isinstance(options, dict) or options.keys() - set(_OPTIONS):
        return f"`options` must be an object; known are {', '.join(_OPTIONS)}"
    after = options.get("continue_after_events")
    if after is not None and (not isinstance(after, int) or isinstance(after, bool) or after < 1):
        return "`continue_after_events` must be a whole number of at least 1"
    rules = options.get("rules", RULES)
    if not isinstance(rules, int) or isinstance(rules, bool) or not FIRST_RULES < rules <= RULES:
        known = f"a version from {FIRST_RULES + 1} to {RULES}"  # nobody has ever started a saga that named the first
        return f"`rules` must be {known}, as far as this worker knows; found {rules!r}"
    for name in ("status_attribute", "name_attributes"):
        if not isinstance(options.get(name, False), bool):
            return f"`{name}` must be a boolean"
    index = options.get("index", {})
    if not isinstance(index, dict) or not all(isinstance(each, str) for each in index.values()):
        return "`index` must be an object of types by name"
    page = options.get("page", "")
    if not isinstance(page, str) or len(page) > LONGEST_PAGE:
        return f"`page` must be a text of at most {LONGEST_PAGE:,} characters"
    if not are_signatures(data.get(SIGNATURES, {})):
        return f"`{SIGNATURES}` must be an object of texts by digest and key"
    if not are_marks(options.get("secrets", {})):
        return "`secrets` must be an object of places by activity"
    return ""


def _is_newer(data: Any) -> bool:
    """Whether this release cannot read the envelope because a later release wrote it."""
    if not is_envelope_data(data):
        return False
    options = data.get("options", {})
    format_, rules = data["sagadsl"], options.get("rules", RULES) if isinstance(options, dict) else RULES
    numbers = all(isinstance(each, int) and not isinstance(each, bool) for each in (format_, rules))
    more = data.keys() - _ENVELOPE or (isinstance(options, dict) and options.keys() - set(_OPTIONS))
    return numbers and (format_ > FORMAT or rules > RULES or bool(more))


def warnings_in(memo: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """Return what a completed saga has left in its memo beside its output."""
    found = memo.get(WARNINGS)
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()


def said_no(memo: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the error with which a saga has said no, as its memo has it; ``None`` for any other saga."""
    found = memo.get(REJECTED)
    return found if isinstance(found, dict) and {"type", "message"} <= found.keys() else None


def to_payload(raw: bytes) -> Payload:
    """Return encoded JSON as a payload."""
    return Payload(metadata={"encoding": b"json/plain"}, data=raw)


def is_envelope(payload: Payload) -> bool:
    """Whether a second argument has the form of an envelope. Does not check what is in it."""
    if payload.metadata.get("encoding") != b"json/plain":
        return False
    try:
        data = json.loads(payload.data)
    except (ValueError, RecursionError):
        return False
    return is_envelope_data(data)


def is_envelope_data(data: Any) -> bool:
    """Whether *data* has the form of an envelope."""
    return isinstance(data, dict) and "sagadsl" in data and "definition" in data


def holds_anything(payload: Payload) -> bool:
    """Whether a payload is more than null."""
    return payload.data not in (b"null", b"")
