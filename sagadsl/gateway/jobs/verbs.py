"""What can be asked of many sagas, one row for each verb: what a request may hold, and how one saga is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from temporalio.client import Client

from sagadsl.engine.facts import Given
from sagadsl.engine.verbs import DECISIONS, ENDED, GIVEN_WITH, Verb
from sagadsl.gateway.definitions import OfferedDefinitions
from sagadsl.immutable import Immutable
from sagadsl.status.lines import OPEN_BY_ITSELF
from sagadsl.temporal import client as sagas
from sagadsl.temporal.ask import decisions, migrating, recovery, signalling
from sagadsl.temporal.ask.many import Addressee
from sagadsl.temporal.wire.requests import Asked

Said = Mapping[str, Any]

DIGESTS = "digests"
"""What an order to migrate holds, too: the digest of each definition when the job began, by name."""


class Means(Immutable):
    """What a gateway asks sagas with: its connection, and its definitions; ``by_name`` as in ``GatewayOptions``."""

    client: Client
    definitions: OfferedDefinitions
    by_name: bool = False


class JobVerb(Immutable):
    """One row.

    Attributes:
        keys: What a request may hold beside who and why; ``needs``: what it has to hold.
        never_both: Two of the keys that say opposite things.
        statuses: The words by which its sagas can be chosen.
        ask: Asks one saga, with the id of the request; returns its status afterwards.
    """

    ask: Callable[[Means, Said, Addressee, str], Awaitable[str]]
    keys: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    never_both: tuple[str, ...] = ()
    statuses: tuple[str, ...] = OPEN_BY_ITSELF


def _operator(verb: Verb) -> JobVerb:
    async def ask(means: Means, said: Said, target: Addressee, request: str) -> str:
        asked = Asked(target.path, said["by"], said["why"], target.occurrence, Given.read(dict(said)))
        return (await decisions.operate(means.client, target.id, verb, asked, request=request)).status

    return JobVerb(ask, GIVEN_WITH.get(verb, ()))


async def _reset(means: Means, said: Said, target: Addressee, request: str) -> str:
    asked = Asked(said["to"], said["by"], said["why"])
    return (await decisions.operate(means.client, target.id, Verb.RESET, asked, request=request)).status


async def _signal(means: Means, said: Said, target: Addressee, request: str) -> str:
    name, payload, by, why = said["signal"], said.get("payload"), said["by"], said["why"]
    sent = await signalling.signal(means.client, target.id, name, payload, request=request, by=by, why=why)
    return sent.state


async def _cancel(means: Means, said: Said, target: Addressee, _request: str) -> str:
    hears = await sagas.cancel(means.client, target.id, by=said["by"], why=said["why"])
    return "asked to stop" if hears else "asked to stop; hears of it when it is released"


async def _migrate(means: Means, said: Said, target: Addressee, _request: str) -> str:
    package = means.definitions.offered(target.name, said[DIGESTS][target.name])
    done = await migrating.migrate(
        means.client, target.id, package, by=said["by"], why=said["why"], by_name=means.by_name
    )
    return migrating.WORDS[done.outcome]


def _taking_up(verb: str, *keys: str, never_both: tuple[str, ...] = ()) -> JobVerb:
    async def ask(means: Means, said: Said, target: Addressee, request: str) -> str:
        run, to = (target.id, target.run_id), said.get("from", "")
        how = recovery.how_of(verb, forward=said.get("forward", False), undo=said.get("undo", False))
        return await recovery.take_up_run(
            means.client, run, verb, how, by=said["by"], why=said["why"], to=to, request=request
        )

    return JobVerb(ask, keys, never_both=never_both, statuses=ENDED[verb])


JOB_VERBS: Mapping[str, JobVerb] = {
    **{verb.word: _operator(verb) for verb in (*DECISIONS, Verb.ABORT, Verb.PAUSE, Verb.RESUME)},
    "reset": JobVerb(_reset, ("to",), ("to",)),
    "signal": JobVerb(_signal, ("signal", "payload"), ("signal",)),
    "cancel": JobVerb(_cancel),
    "migrate": JobVerb(_migrate, ("digest",)),
    "recover": _taking_up("recover", "forward"),
    "redrive": _taking_up("redrive", "undo", "from", never_both=("undo", "from")),
}
"""What a job can ask, by its word."""
