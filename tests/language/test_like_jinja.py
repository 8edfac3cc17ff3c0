"""Filters, tests and operators give what Jinja2 gives."""

from __future__ import annotations

from typing import Any

import pytest

from sagadsl.language.expressions.values import compile_value
from tests.language.expression_results import LINES


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("lines | map(attribute='sku') | list", ["b", "a"]),
        ("lines | map(attribute='sku') | sort", ["a", "b"]),
        ("lines | map(attribute='size', default=1) | sum", 2),
        ("lines | map(attribute='sku') | map('upper') | join('-')", "B-A"),
        ("lines | selectattr('price', 'gt', 5) | map(attribute='sku') | first", "a"),
        ("lines | rejectattr('price', '>', 5) | map(attribute='sku') | first", "b"),
        ("lines | selectattr('stock') | map(attribute='sku') | first", "b"),
        ("lines | rejectattr('stock') | map(attribute='sku') | last", "a"),
        ("lines | selectattr('size', 'defined') | list", []),
        ("lines | sum(attribute='price')", 12.5),
        ("lines | sort(attribute='price', reverse=true) | map(attribute='sku')", ["a", "b"]),
        ("lines | max(attribute='price')", LINES[1]),
        ("lines | join(', ', attribute='sku')", "b, a"),
        ("[3, 1, 2] | sort(reverse=true)", [3, 2, 1]),
        ("['b', 'A', 'c'] | sort", ["A", "b", "c"]),
        ("['b', 'A'] | sort(case_sensitive=true)", ["A", "b"]),
        ("[1, 2, 3, 4] | select('even') | list", [2, 4]),
        ("[1, 2, 3, 4] | reject('odd') | list", [2, 4]),
        ("[1, 2, 3] | select('in', [2, 3]) | list", [2, 3]),
        ("[1, 1.0, '1', 'a', 'A', true] | unique | list", [1, "1", "a", True]),
        ("['a', 'A'] | unique(case_sensitive=true) | length", 2),
        ("[1, 2, 3, 4, 5] | batch(2)", [[1, 2], [3, 4], [5]]),
        ("[1, 2, 3] | batch(2, 0)", [[1, 2], [3, 0]]),
        ("[[1], [2, 3]] | flatten", [1, 2, 3]),
        ("[1, 2] | reverse", [2, 1]),
        ("'ab' | reverse", "ba"),
        ("[2, 1] | min", 1),
        ("[] | max | default(0)", 0),
        ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]),
        ("{'b': 1, 'a': 2} | dictsort(by='value', reverse=true)", [["a", 2], ["b", 1]]),
        ("{'b': 1} | items", [["b", 1]]),
        ("{'b': 1} | keys", ["b"]),
        ("{'b': 1} | values | list", [1]),
        ("{'b': 1} | list", ["b"]),
        ("{'a': 1, 'b': 1} | merge({'b': 2})", {"a": 1, "b": 2}),
        ("{'b': 1, 'a': '<&é'} | to_json", '{"a":"<&é","b":1}'),
        ("[1] | to_json(indent=2)", "[\n  1\n]"),
        ("'[1, 1.5, null]' | from_json", [1, 1.5, None]),
        ("' a b ' | trim", "a b"),
        ("'xax' | trim('x')", "a"),
        ("'a,b,c' | split(',')", ["a", "b", "c"]),
        ("'a,b,c' | split(',', 1)", ["a", "b,c"]),
        ("' a  b ' | split", ["a", "b"]),
        ("'aXbX' | replace('X', '')", "ab"),
        ("'aXbX' | replace('X', '-', 1)", "a-bX"),
        ("'hello wide world' | truncate(10, leeway=0)", "hello..."),
        ("'hello wide world' | truncate(10, true, '…', 0)", "hello wid…"),
        ("'hello-wide world' | title", "Hello-Wide World"),
        ("'HELLO' | capitalize", "Hello"),
        ("'a b/ü' | urlencode", "a%20b/%C3%BC"),
        ("{'a b': 1, 'c': 'x&y'} | urlencode", "a%20b=1&c=x%26y"),
        ("'abc' | list", ["a", "b", "c"]),
        ("'abc' | length", 3),
        ("-5 | abs", 5),
        ("42.55 | round", 43.0),
        ("42.55 | round(1, 'floor')", 42.5),
        ("42.11 | round(1, 'ceil')", 42.2),
        ("5 | round", 5),
        ("12.5 | fixed", "12.50"),
        ("7 | fixed(0)", "7"),
        ("' 42 ' | int", 42),
        ("'x' | int(0)", 0),
        ("12.9 | int", 12),
        ("'1.5e1' | float", 15.0),
        ("'x' | float(1.5)", 1.5),
        ("'TRUE' | bool", True),
        ("1.0 | string", "1.0"),
        ("true == 1", False),
        ("[true] == [1]", False),
        ("1 == 1.0", True),
        ("{'a': [1]} == {'a': [1.0]}", True),
        ("none == null", True),
        ("none is none and 1 is not null", True),
        ("'b' in ['a', 'b'] and 'x' not in {'y': 1} and 'b' in 'abc'", True),
        ("10 / 4", 2.5),
        ("10 // 4", 2),
        ("-7 % 3", 2),
        ("2 ** 10", 1024),
        ("-2 ** 2", 4),
        ("[1] + [2]", [1, 2]),
        ("'ab' * 2", "abab"),
        ("'abcdef'[1:5:2]", "bd"),
        ("[1, 2, 3][-1]", 3),
        ("1 is integer and 1.5 is float and 'a' is string and true is boolean and {} is mapping", True),
        ("true is not number and true is not integer and [] is sequence", True),
        ("true is true and 1 is not true and false is false", True),
        ("9 is divisibleby(3) and 'abc' is startswith('a') and 'abc' is endswith 'c'", True),
        ("[1] is contains(1) and 1 is in([1]) and 2 is gt(1) and 1 is not ne(1)", True),
        ("missing is undefined and lines is defined and lines[0].size is not defined", True),
    ],
)
def test_filters_tests_and_operators_do_what_jinja_does(text: str, result: Any) -> None:
    """The fixed list, each at least once."""
    value = compile_value(text, bare=True)

    assert value.problems == ()
    rendered = value.render({"lines": LINES})
    assert rendered == result
    assert type(rendered) is type(result)
