"""What a place expects: of a wait for signals, its output and its payload; of a fairness weight, its bounds."""

from __future__ import annotations

from collections.abc import Iterator

from sagadsl.language.analysis.complaints import WRONG_TYPE
from sagadsl.language.analysis.inference import Inference
from sagadsl.language.analysis.types import ANY, Shape, of_schema, one_of, record, union
from sagadsl.language.calls import WEIGHTS, Value
from sagadsl.language.expressions import nodes
from sagadsl.language.expressions.values import Expression
from sagadsl.language.kinds import expected_route
from sagadsl.language.model import Expected, WaitFor
from sagadsl.language.walk import Site


def of_wait(wait: WaitFor) -> Shape:
    """Return the shape of the output of a wait."""
    payload = union([_payload(each) for each in wait.expected])
    return record({"signal": one_of(*wait.signals), "payload": payload}) if wait.says_which else payload


def payload_at(site: Site) -> Shape:
    """Return the shape of ``payload`` in an expression that is computed when a signal comes."""
    step = site.step
    if step is None or not isinstance(step.body, WaitFor):
        return ANY
    inside = site.route[len(step.route) :]
    for each in step.body.expected:
        route = expected_route(step.body, each)
        if inside[: len(route)] == route:
            return _payload(each)
    return ANY


def _payload(expected: Expected) -> Shape:
    return ANY if expected.payload is None else of_schema(expected.payload)


def weights_in_bounds(inference: Inference, value: Value) -> None:
    """Complain of each number that an expression for `fairness_weight` may give, if the server does not take it."""
    for number in _numbers(value.tree) if isinstance(value, Expression) else ():
        if not WEIGHTS[0] <= number <= WEIGHTS[1]:
            message = f"a fairness weight is a number from {WEIGHTS[0]} to {WEIGHTS[1]}, but this may give {number}"
            inference.complain(WRONG_TYPE, message, "it says how much more often than a key of weight 1 it is served")


def _numbers(node: nodes.Syntax) -> Iterator[float]:
    """Yield the numbers that are written where an expression has its result."""
    match node:
        case nodes.Const(value=int() | float() as number) if not isinstance(number, bool):
            yield number
        case nodes.Neg(node=nodes.Const(value=int() | float() as number)):
            yield -number
        case nodes.CondExpr(expr1=then, expr2=otherwise):
            yield from _numbers(then)
            yield from () if otherwise is None else _numbers(otherwise)
        case _:
            return
