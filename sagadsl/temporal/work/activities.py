"""Makes plugins into functions that a Temporal worker takes: one JSON value in, JSON out, under the plugin's name.

The plugin declares the types. This module checks the input against them before the function runs.
The interceptor decides what each error means to a saga.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from sagadsl.authoring import MARK, Context
from sagadsl.language.expressions.secrets import Named
from sagadsl.language.paths import (
    is_compensation,
    key_of_activity_id,
    standalone_key,
    step_key_of_activity_id,
    step_of_activity_id,
)
from sagadsl.plugins.catalogue import Catalogue, Plugin, broken_types
from sagadsl.plugins.isolation import contained
from sagadsl.plugins.problems import PluginBroken, PluginNeedsExtra
from sagadsl.plugins.results import to_json_data
from sagadsl.plugins.signatures import InputReader, form
from sagadsl.plugins.texts import text_of
from sagadsl.temporal.run.activity_errors import Impassable
from sagadsl.temporal.wire.named_secrets import NAMED
from sagadsl.temporal.work.interceptor import ERRORS, passes

_log = logging.getLogger(__name__)


def worker_activities(catalogue: Catalogue, names: Iterable[str] | None = None) -> list[Callable[..., Any]]:
    """Return the activities for a worker, sorted by name.

    Args:
        names: Take only these; each must be usable. ``None`` takes all that are installed. A broken
            package is then logged and left out, but a local module that somebody asked for must work.

    Raises:
        PluginBroken, PluginUnknown: An activity that was asked for cannot be used.
        PluginConflict: Two packages offer one name.
    """
    if names is not None:
        return [worker_activity(_usable(catalogue, name)) for name in sorted(set(names))]
    plugins = catalogue.load_all()
    local = {f"module {module}" for module in catalogue.modules}
    for problem in catalogue.problems:
        if not isinstance(problem, PluginBroken) or problem.package in local:
            raise problem
        # Nobody installs every extra; whoever calls such an activity is told.
        needs_extra = isinstance(problem.reason, PluginNeedsExtra)
        _log.log(logging.INFO if needs_extra else logging.WARNING, "%s", problem)
    made = []
    for plugin in plugins:
        try:
            made.append(worker_activity(plugin))
        except PluginBroken as broken:
            if plugin.package in local:
                raise
            _log.warning("%s", broken)
    return made


def worker_activity(plugin: Plugin) -> Callable[..., Any]:
    """Return *plugin* as a function that ``temporalio.worker.Worker`` takes. Raises :class:`PluginBroken`."""
    function = plugin.function
    try:
        with contained():
            shape = form(function, plain=plugin.plain)
            reader = InputReader(shape)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # somebody else's types: their hooks run here
        raise broken_types(plugin, error) from error

    # Positional and without types, so that the SDK hands over what was sent: nothing, one value,
    # or, from a hand-written workflow, a plain activity's arguments in order.
    async def run(*sent: Any) -> Any:
        arguments = reader.read(sent, _context())
        try:
            return to_json_data(await function(*arguments.positional, **arguments.keyword))
        except BaseException as error:
            hidden = _stop_iteration(error)
            if hidden is not None:
                raise _passable(hidden) from hidden
            if isinstance(error, Exception) or passes(error):
                raise
            raise _passable(error) from error

    def run_in_thread(*sent: Any) -> Any:
        arguments = reader.read(sent, _context())
        try:
            return to_json_data(function(*arguments.positional, **arguments.keyword))
        except StopIteration as error:
            raise _passable(error) from error
        except Exception:
            raise
        except BaseException as error:
            # in a thread nobody but the author's code raises `asyncio.CancelledError` and `KeyboardInterrupt`
            if passes(error) and not isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
                raise
            raise _passable(error) from error

    chosen: Callable[..., Any] = run if _is_async(function) else run_in_thread
    chosen.__name__ = getattr(function, "__name__", plugin.name)
    chosen.__qualname__ = getattr(function, "__qualname__", plugin.name)
    chosen.__doc__ = function.__doc__
    chosen.__module__ = getattr(function, "__module__", None) or chosen.__module__
    setattr(chosen, ERRORS, getattr(getattr(function, MARK, None), "errors", ()))
    return activity.defn(name=plugin.name, no_thread_cancel_exception=_shielded(function))(chosen)


def _passable(error: BaseException) -> ApplicationError:
    """Replace an error that no future can carry, or that would end the worker, by an ordinary error."""
    return Impassable(text_of(error), type=type(error).__name__)


def _stop_iteration(error: BaseException) -> StopIteration | None:
    """Return the original error: Python replaces a ``StopIteration``, since a coroutine cannot raise it."""
    cause = error.__cause__
    is_it = isinstance(error, RuntimeError) and str(error) == "coroutine raised StopIteration"
    return cause if is_it and isinstance(cause, StopIteration) else None


def _shielded(function: Callable[..., Any]) -> bool:
    """Whether a plain Temporal activity asks for no exception in its thread when it is cancelled."""
    definition = getattr(function, "__temporal_activity_definition", None)
    return bool(getattr(definition, "no_thread_cancel_exception", False))


def _usable(catalogue: Catalogue, name: str) -> Plugin:
    plugin = catalogue.load(name)
    if not isinstance(plugin, Plugin):
        raise plugin
    return plugin


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _context() -> Context:
    info = activity.info()
    saga_id = info.workflow_id or ""
    if saga_id:
        key = key_of_activity_id(saga_id, info.activity_id)
        forward = step_key_of_activity_id(saga_id, info.activity_id)
    else:  # `temporal activity execute`
        key = forward = standalone_key(info.namespace, info.activity_id, info.activity_run_id or "")
    secrets = NAMED.get() or Named({})
    return Context(
        idempotency_key=key,
        attempt=info.attempt,
        saga_id=saga_id,
        step=step_of_activity_id(info.activity_id),
        activity=info.activity_type,
        step_idempotency_key=forward,
        is_compensation=bool(saga_id) and is_compensation(info.activity_id),
        heartbeat_details=tuple(info.heartbeat_details),
        secrets=secrets.places,
        secrets_host=secrets.host,
        secrets_hosts=secrets.hosts,
        logger=activity.logger,
        send_heartbeat=activity.heartbeat,
        is_cancelled=activity.is_cancelled,
    )
