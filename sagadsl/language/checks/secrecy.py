"""SD3xx, second part: values that a schema marks as secret, and places that others see in clear."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.language.analysis.analysis import Analysis
from sagadsl.language.calls import ActivityCall, Value
from sagadsl.language.model import Set, Step, WaitFor
from sagadsl.language.schema.secrecy import ANY, Place, places
from sagadsl.language.walk import Site

_SEEN = {
    "search_attributes": "search attributes are in clear at the server",
    "workflow_id": "ids are in clear at the server",
    "to": "ids are in clear at the server",
    "fairness_key": "fairness keys are in clear at the server",
    "task_queue": "names of task queues are in clear at the server",
    "message": "messages of errors are in lists, logs and alerts",
}
"""Places that others see, by their keys, and who sees them."""


def secrets_where_others_see_them(analysis: Analysis) -> Iterator[Finding]:
    """SD311: an expression puts what a schema marks as secret where it stays readable, or is sent to somebody else."""
    at: dict[Place, tuple[Place, ...]] = {("input",): places(analysis.saga.input_schema)}
    at |= {("steps", id_): where for id_, where in _of_steps(analysis).items()}
    if not any(at.values()):
        return
    for site in analysis.structure.sites:
        why = _seen(site)
        if why and (read := _reads(site.value, at)):
            name = ".".join(read)
            yield Finding(
                "SD311",
                f"`{name}` is or holds a secret, and {why}",
                site.route,
                severity=Severity.WARNING,
                help="put a number or a name of your own there, which tells nothing",
                step=site.step.id if site.step is not None else "",
            )


def _seen(site: Site) -> str:
    """Return the words for who sees a value; empty if nobody does who should not."""
    route = site.route
    if route[-2:] == ("send", "payload") and (step := site.step) is not None and getattr(step.body, "plain", False):
        return "it is sent to a workflow that is no saga"
    key = "search_attributes" if route[:1] == ("search_attributes",) else str(route[-1])
    return _SEEN.get(key, "")


def _of_steps(analysis: Analysis) -> Mapping[str, tuple[Place, ...]]:
    """Return where the outputs of steps have secrets, each as the keys behind ``steps.<id>``."""
    found: dict[str, tuple[Place, ...]] = {}
    root: dict[Place, tuple[Place, ...]] = {("input",): places(analysis.saga.input_schema)}
    for spot in analysis.structure.spots:  # a step reads only those before it
        step = spot[-1].step
        known: dict[Place, tuple[Place, ...]] = root | {("steps", id_): where for id_, where in found.items()}
        if at := tuple(("output", *each) for each in _output(step, analysis, known)):
            found[step.id] = at
    return found


def _output(step: Step, analysis: Analysis, known: Mapping[Place, tuple[Place, ...]]) -> Iterator[Place]:
    body = step.body
    if isinstance(body, ActivityCall):
        for name in body.names:
            signature = analysis.known.signature(name)
            yield from () if signature is None else places(signature.output_schema)
    elif isinstance(body, WaitFor):
        for each in body.expected:
            yield from (("payload", *at) if body.says_which else at for at in places(each.payload))
    elif isinstance(body, Set):
        parts = body.values.items
        for key, value in parts.items() if parts is not None else [(ANY, body.values)]:
            if _reads(value, known):
                yield (key,)


def _reads(value: Value, at: Mapping[Place, tuple[Place, ...]]) -> Place:
    """Return the first chain of names that reads a secret, or something with a secret in it; empty without one."""
    for chain in value.reads:
        for root, where in at.items():
            if chain[: len(root)] == root and _meets(chain[len(root) :], where):
                return chain
    return ()


def _meets(chain: Place, where: Iterable[Place]) -> bool:
    """Whether a chain of keys leads to one of some places, into it, or to something around it."""
    return any(
        all(ANY in (here, key) or here == key for here, key in zip(place, chain, strict=False)) for place in where
    )
