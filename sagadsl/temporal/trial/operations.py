"""Acts out the mocks of Nexus operations: endpoints of a trial's own, and a handler for whatever is asked.

Endpoints belong to the whole server, and other trials run beside this one. So each trial has endpoints with names of
its own, which lead to its own queue. Its operations are synchronous.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import nexusrpc
from nexusrpc import handler
from temporalio import nexus
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest, DeleteNexusEndpointRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from sagadsl.engine.call_errors import SECOND_TRY
from sagadsl.language.calls import ActivityCall, Operation
from sagadsl.language.model import Saga
from sagadsl.language.own_errors import CANCELLED
from sagadsl.language.walk import calls, spots
from sagadsl.temporal.wire.nexus import call_of_operation
from sagadsl.trial.mocks import Mock

Perform = Callable[[str, str, int, Any, str], Awaitable[Any]]
"""Does what the mock says: gets the name of the operation in the definition, the id of the call, the number of the
attempt, the input and the workflow id of the caller."""

_CALLER = re.compile(r"/workflows/([^/]+)/")
_LATE = SECOND_TRY + 0.1


@contextlib.asynccontextmanager
async def endpoints(client: Client, names: Iterable[str], queue: str) -> AsyncIterator[None]:
    """Have endpoints that lead to *queue*, until the end of the block."""
    target = EndpointTarget(worker=EndpointTarget.Worker(namespace=client.namespace, task_queue=queue))
    made = []
    try:
        for name in names:
            request = CreateNexusEndpointRequest(spec=EndpointSpec(name=name, target=target))
            made.append((await client.operator_service.create_nexus_endpoint(request)).endpoint)
        yield
    finally:
        for each in made:
            gone = DeleteNexusEndpointRequest(id=each.id, version=each.version)
            await client.operator_service.delete_nexus_endpoint(gone)


def operations_of(sagas: Iterable[Saga]) -> set[Operation]:
    """Return the operations that sagas call."""
    called = (call for saga in sagas for spot in spots(saga) for call, _, _ in calls(spot[-1].step))
    return {call.operation for call in called if isinstance(call, ActivityCall) and call.operation is not None}


def handlers(operations: Iterable[Operation], named: Mapping[str, str], perform: Perform) -> list[Any]:
    """Return handlers for *operations*, one for each service.

    Args:
        named: The names that the endpoints have in the definition.
    """
    services: dict[str, set[str]] = {}
    for each in operations:
        services.setdefault(each.service, set()).add(each.operation)
    attempts: Counter[tuple[str, str]] = Counter()
    return [_service(name, sorted(known), named, perform, attempts) for name, known in sorted(services.items())]


def _service(
    service: str, operations: list[str], named: Mapping[str, str], perform: Perform, attempts: Counter[tuple[str, str]]
) -> Any:
    def made(operation: str, method: str) -> Any:
        async def asked(_self: Any, context: handler.StartOperationContext, given: Any) -> Any:
            workflow, call = _caller(context), call_of_operation(context.headers, operation)
            attempts[workflow, call] += 1
            endpoint = nexus.info().endpoint
            name = str(Operation(named.get(endpoint, endpoint), service, operation))
            return await perform(name, call, attempts[workflow, call], given, workflow)

        asked.__name__ = method
        asked.__annotations__ = {"context": handler.StartOperationContext, "given": Any, "return": Any}
        return handler.sync_operation(name=operation)(asked)

    named_methods = ((f"operation_{number}", operation) for number, operation in enumerate(operations))
    methods = {method: made(operation, method) for method, operation in named_methods}
    made_up: Any = type("Handler", (), methods)
    return handler.service_handler(name=service)(made_up)()


def _caller(context: handler.StartOperationContext) -> str:
    """Return the workflow id of the caller, from the link to the event that has scheduled the operation."""
    found = _CALLER.search(context.inbound_links[0].url)
    assert found is not None
    return unquote(found[1])


async def fail(mock: Mock, attempt: int, since: float) -> None:
    """Raise the error of a mock; *since* is when the operation was first asked, by the clock of the event loop."""
    message = mock.message or "no reason"
    if mock.error == CANCELLED:
        raise nexusrpc.OperationError(message, state=nexusrpc.OperationErrorState.CANCELED)
    if mock.unknown and attempt == 1:  # a later answer leaves open what was done
        await asyncio.sleep(max(0.0, since + _LATE - asyncio.get_running_loop().time()))
    raise ApplicationError(message, type=mock.error, non_retryable=not mock.retryable)
