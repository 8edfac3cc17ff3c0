"""What holds for every text, every data and every expression."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sagadsl.language.expressions import grammar
from sagadsl.language.expressions.parser import parse
from sagadsl.language.expressions.problem import Unparsable
from sagadsl.language.expressions.values import (
    Broken,
    Constant,
    ExpressionError,
    compile_condition,
    compile_value,
    problems,
)

SCOPE: dict[str, Any] = {
    "input": {"a": 3, "b": 2.5, "t": "text", "u": "Other", "yes": True, "n": None, "l": [1, 2, 3], "m": {"k": 1}},
    "steps": {"s": {"status": "completed", "output": {"items": [4], "id": "x-1"}}, "gone": {"status": "skipped"}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
FEW = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@FEW
@given(JSON)
@example("{{ 7*7 }}{% raw %}{#")
@example({"{{ x }}": "\r\n\ud800"})
def test_data_passes_through_an_expression_unchanged(data: Any) -> None:
    """Whatever it holds, and without being copied."""
    assert compile_value("{{ input.v }}").render({"input": {"v": data}}) is data


@FEW
@given(st.text(), st.text())
def test_text_that_the_author_wrote_stays_as_it_is(before: str, after: str) -> None:
    """Verbatim around an expression, line ends included."""
    before, after = before.replace("{", "("), after.replace("{", "(")

    assert compile_value(before).render({}) == before
    assert compile_value(f".{before}{{{{ v }}}}{after}").render({"v": 1}) == f".{before}1{after}"


@FEW
@given(JSON)
def test_data_without_markers_is_a_constant(data: Any) -> None:
    """The hot path: nothing is computed."""
    data = _without_braces(data)

    value = compile_value(data)

    assert isinstance(value, Constant)
    assert value.render({}) == data


def _without_braces(data: Any) -> Any:
    if isinstance(data, dict):
        return {_without_braces(key): _without_braces(item) for key, item in data.items()}
    if isinstance(data, list):
        return [_without_braces(item) for item in data]
    return data.replace("{", "(") if isinstance(data, str) else data


@FEW
@given(st.text())
@example("{{ \u00b2 }}")
@example("{{ '\\N{DASH}' }}")
@example("{{ a.\u0660 }}")
@example("{{ 1" + "0" * 5000 + " }}")
@example("{{ 0x" + "f" * 5000 + " }}")
@example("{{" * 1000)
@example("{{ '" * 1000)
def test_any_text_renders_or_is_an_expression_error(text: str) -> None:
    """R56: nothing an author can write gives another exception; its problems lie inside the text."""
    _total(text)
    _total("{{" + text + "}}")
    for found in problems(text, bare=True) + problems("{{" + text + "}}"):
        assert found.message
        assert 0 <= found.offset <= len(text) + 4


TOKENS = st.sampled_from(
    """
    input steps saga a b t u yes n l m k s output items . . . [ ] ( ) { } ' " | | | | , : + - * / // % ** ~ == != < >
    <= >= in not and or if else is defined none number string 0 1 2 3 1.5 -1 true false null 'x' "k" ['k'] [0] [1:]
    default length first last join('-') lower upper title trim replace('a','b') truncate(3) split abs round int
    float bool list sort unique reverse min max sum map(attribute='k') map('upper') select('number') selectattr('k')
    batch(2) keys values dictsort to_json from_json uuid5 flatten merge fixed urlencode __class__ _x = ? ! % # @
    """.split()  # noqa: SIM905  # a hundred words are easier to read without quotes
)


@settings(max_examples=1500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(TOKENS, max_size=14))
def test_any_row_of_tokens_renders_or_is_an_expression_error(tokens: list[str]) -> None:
    """R56: the same for texts that look more like expressions."""
    for text in (" ".join(tokens), "".join(tokens)):
        _total("{{ " + text + " }}")
        with suppress(ExpressionError):
            assert isinstance(compile_condition(text).render(SCOPE), bool)


def _total(text: str) -> None:
    value = compile_value(text)
    assert isinstance(value, Broken) is bool(value.problems)
    with suppress(ExpressionError):
        json.dumps(value.render(SCOPE), allow_nan=False)


def _operations(atoms: list[str], *patterns: str) -> st.SearchStrategy[str]:
    """Expressions of one type: atoms, and patterns in which `@` stands for another of the same type."""

    def extend(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        def fill(pattern: str) -> st.SearchStrategy[str]:
            parts = pattern.split("@")
            holes = st.lists(inner, min_size=len(parts) - 1, max_size=len(parts) - 1)
            return holes.map(lambda given: parts[0] + "".join(a + b for a, b in zip(given, parts[1:], strict=True)))

        return st.sampled_from(patterns).flatmap(fill)

    return st.recursive(st.sampled_from(atoms), extend, max_leaves=5)


NUMBERS = _operations(
    [
        "1",
        "0",
        "2.5",
        "input.a",
        "input['b']",
        "input.l[1]",
        "input.m.k",
        "steps.s.output['items'][0]",
        "input.l | count",
    ],
    *("(@ + @)", "(@ - @)", "(@ * @)", "(@ / @)", "(@ // @)", "(@ % @)", "(@ ** 2)", "-@", "(@ | abs)", "(@ | round)"),
    *("[@, @] | sum", "[@, @] | max", "[@, @] | min", "[@, @, @] | sort | first", "(@ if @ > @ else @)"),
    *("(input.gone | default(@))", "[@, @] | last", "((@ | int) + 1)", "(@ | float)"),
)
TEXTS = _operations(
    ["''", "'x y'", "input.t", "input.u", "steps.s.status", "steps.s.output.id", "gone | default('none')"],
    *("(@ ~ @)", "(@ + @)", "(@ | upper)", "(@ | lower)", "(@ | title)", "(@ | trim)", "(@ | capitalize)", "@[1:]"),
    *("(@ | replace('t', @))", "(@ | truncate(4, true, '.', 0))", "(@ | reverse)", "[@, @] | join(@)", "@[::-1]"),
    *("[@, @] | map('upper') | join", "[@, @] | unique | join(',')", "[@, @] | sort | join", "(@ if @ == @ else @)"),
    *("(input.gone | default(@))", "(@ | urlencode)"),
)
ORACLE = ImmutableSandboxedEnvironment(undefined=StrictUndefined)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(NUMBERS | TEXTS | st.tuples(NUMBERS, st.sampled_from(["==", "!=", "<", ">", "<=", ">="]), NUMBERS).map(" ".join))
def test_what_both_can_compute_jinja_computes_alike(text: str) -> None:
    """The grammar and the meaning are Jinja2's: checked against its own sandbox."""
    try:
        ours = compile_value(text, bare=True).render(SCOPE)
    except ExpressionError:
        return  # narrower on purpose: bounds, mixed kinds, booleans

    theirs = ORACLE.compile_expression(text, undefined_to_none=False)(**SCOPE)
    assert ours == theirs
    assert type(ours) is type(theirs)


MISSING = "missing"


@FEW
@given(
    st.lists(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True), min_size=1, max_size=6),
    st.sampled_from(["", " ", "\n"]),
)
@example(["not"], "")
@example(["none", "x"], "")
@example(["a", "not", "is"], " ")
def test_a_plain_chain_parses_as_jinja_parses_it(names: list[str], blank: str) -> None:
    """The fast way of reading `a.b.c` has no meaning of its own."""
    text = blank + ".".join(names) + blank
    theirs: Any = None
    with suppress(Unparsable):
        theirs = grammar.tree(text)
    ours, found = parse(text)

    assert ours is None if theirs is None or found else ours == theirs


CHAIN = st.lists(st.sampled_from(["a", "b", "items", "l", "x", "_y", 0, 1, -1, "odd name"]), max_size=4)
TREE = st.recursive(
    st.none() | st.integers(0, 3) | st.sampled_from(["", "text"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "items", "l", "_y", "odd name"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@FEW
@given(TREE, CHAIN)
def test_a_chain_reads_the_same_however_it_is_written(data: Any, keys: list[str | int]) -> None:
    """Dots, brackets and computed keys are one lookup, on the fast way and on the general one."""
    dotted = "v" + "".join(f".{k}" if isinstance(k, str) and k.isalpha() else f"[{json.dumps(k)}]" for k in keys)
    bracketed = "v" + "".join(f"[{json.dumps(k)}]" for k in keys)
    computed = "v" + "".join(f"[k[{i}]]" for i in range(len(keys)))
    results = [_outcome(form, {"v": data, "k": keys}) for form in (dotted, bracketed, computed)]

    assert results[0] == results[1] == results[2] == _read(data, keys)


def _read(data: Any, keys: list[str | int]) -> Any:
    for key in keys:
        if isinstance(data, dict):
            data = data.get(str(key), MISSING) if isinstance(key, str) else MISSING
        elif isinstance(data, list | str) and data is not MISSING and isinstance(key, int):
            data = data[key] if -len(data) <= key < len(data) else MISSING
        else:
            return MISSING
    return data


def _outcome(text: str, scope: dict[str, Any]) -> Any:
    defaulted = compile_value(f"({text}) | default('missing')", bare=True).render(scope)
    try:
        value = compile_value(text, bare=True).render(scope)
    except ExpressionError:
        assert defaulted == MISSING
        return defaulted
    assert defaulted is value
    return value
