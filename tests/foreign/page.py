"""The tables of ``docs/other-languages.md``: which cases are measured, and how they are told."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "other-languages.md"
NAMES = {"python": "Python", "go": "Go", "node": "JavaScript", "java": "Java"}

_VALUES: Mapping[str, Mapping[str, str]] = {
    "integer": {
        "python": "`2**53 + 1`",
        "go": "`int64(1)<<53 + 1`",
        "node": "`2 ** 53 + 1`",
        "java": "`(1L << 53) + 1`",
    },
    "whole_float": dict.fromkeys(NAMES, "`1.0`"),
    "minus_zero": {"python": "`-0.0`", "go": "`math.Copysign(0, -1)`", "node": "`-0`", "java": "`-0.0`"},
    "large_float": dict.fromkeys(NAMES, "`1e21`"),
    "big_integer": {
        "python": "`10**21`",
        "go": "a `*big.Int` of 10^21",
        "node": "`10n ** 21n`",
        "java": "a `BigInteger` of 10^21",
    },
    "decimal": {"python": '`Decimal("19.90")`', "java": '`new BigDecimal("19.90")`'},
    "nan": {"python": '`float("nan")`', "go": "`math.NaN()`", "node": "`NaN`", "java": "`Double.NaN`"},
    "infinity_inside": {"python": '`{"a": float("inf")}`', "node": "`{a: Infinity}`"},
    "duration": {
        "python": "`timedelta(seconds=90)`",
        "go": "`90 * time.Second`",
        "java": "`Duration.ofSeconds(90)`",
    },
    "instant": {
        "python": "a `datetime`, UTC",
        "go": "a `time.Time`, UTC",
        "node": "`new Date(1500)`",
        "java": "`Instant.ofEpochMilli(1500)`",
    },
    "date": {"java": "`LocalDate.of(2026, 1, 31)`"},
    "uuid": {"python": "a `UUID`"},
    "enum": {"python": 'a `StrEnum` of `"red"`', "java": "an `enum` constant `RED`"},
    "nothing": {"python": "`None`", "go": "an error alone, nil", "node": "`undefined`", "java": "`null`"},
    "null": {"node": "`null`"},
    "optional": {"java": '`Optional.of("x")`'},
    "empty": {"java": "`Optional.empty()`"},
    "fields": {
        "python": "a dataclass with a field of `None`",
        "go": "a struct: a field without tag, nil slice, map and pointer, an empty one with `omitempty`",
        "java": "a record: text, and `null` or `Optional.empty()` in the others",
    },
    "undefined_inside": {"node": "`{a: undefined, b: [undefined]}`"},
    "map": {"node": "`new Map([['a', 1]])`"},
    "set": {"node": "`new Set([1])`"},
    "instance": {"node": "an object of a class with a private field"},
    "bytes": {"python": "`bytes`", "go": "`[]byte`", "node": "`Uint8Array`", "java": "`byte[]`"},
    "bytes_inside": {
        "python": '`{"data": b"\\x00"}`',
        "go": '`map[string]any{"data": []byte{0, 255}}`',
        "node": "`{data: new Uint8Array([0, 255])}`",
        "java": '`Map.of("data", new byte[] {0, -1})`',
    },
}
VALUES = {language: [name for name, sources in _VALUES.items() if language in sources] for language in NAMES}

_ERRORS: Mapping[str, Mapping[str, str]] = {
    "python": {
        "plain": '`raise Exception("no")`',
        "typed_error": "`raise Declined(…)`, of a class of its own",
        "retryable": '`ApplicationError("no", type="Declined")`',
        "final": "the same with `non_retryable=True`",
        "wrapped": "`raise RuntimeError(…) from` that one",
        "group": "an `ExceptionGroup` with that one in it",
        "decimal": "it returns a `Decimal`",
        "object": "it returns an `object()`",
        "mixed_keys": "it returns a dict with keys of two types",
        "tuple_key": "it returns a dict with a tuple as key",
        "held": "it returns a dataclass that holds a lock",
        "too_large": "it returns 3 MB",
    },
    "go": {
        "plain": '`errors.New("no")`',
        "typed_error": "`&declined{}`, of a struct type of its own",
        "retryable": '`temporal.NewApplicationError("no", "Declined")`',
        "final": '`temporal.NewNonRetryableApplicationError("no", "Declined", nil)`',
        "wrapped": '`fmt.Errorf("while charging: %w", err)` around that one',
        "wrapped_twice": "two of these around a `&declined{}`",
        "wraps_two": '`fmt.Errorf("%w, and %w", …)`',
        "joined": "`errors.Join(…)`",
        "panics": '`panic("no")`',
        "nan": "it returns `NaN`",
        "channel": "it returns a channel",
        "refuses": "it returns a value whose `MarshalJSON` fails",
        "too_large": "it returns 3 MB",
    },
    "node": {
        "plain": "`throw new Error('no')`",
        "typed_error": "`throw new Declined('no')`, of `class Declined extends Error`",
        "named": "the same of `class Named extends Error { name = 'Declined' }`",
        "retryable": "`ApplicationFailure.retryable('no', 'Declined')`",
        "final": "`ApplicationFailure.nonRetryable('no', 'Declined')`",
        "wrapped": "`new Error('while charging', { cause })` with that one",
        "joined": "`new AggregateError([…])`",
        "thrown_text": "`throw 'no'`",
        "thrown_object": "`throw { code: 'Declined' }`",
        "thrown_nothing": "`throw undefined`",
        "type_error": "`null.account`",
        "big_integer": "it returns a `BigInt`",
        "circle": "it returns an object that holds itself",
        "refuses": "it returns an object whose `toJSON` throws",
        "function": "it returns a function",
        "too_large": "it returns 3 MB",
    },
    "java": {
        "plain": '`new RuntimeException("no")`',
        "typed_error": "`new Declined()`, of a class in `Measured`",
        "checked": "`Activity.wrap(new CheckedDeclined())`",
        "retryable": '`ApplicationFailure.newFailure("no", "Declined")`',
        "final": '`ApplicationFailure.newNonRetryableFailure("no", "Declined")`',
        "wrapped": '`new RuntimeException("while charging", …)` with that one',
        "future": "that one out of `CompletableFuture.join()`",
        "future_get": "that one out of `CompletableFuture.get()`",
        "reflected": "that one out of `Method.invoke()`",
        "suppressed": "a `RuntimeException` with that one suppressed",
        "interrupted": "`new InterruptedException()`",
        "opaque": "it returns an object without properties",
        "refuses": "it returns an object whose getter throws",
        "too_large": "it returns 3 MB",
    },
}
ERRORS = {language: list(cases) for language, cases in _ERRORS.items()}

TYPED = {"python": (), "go": ("echo_typed",), "node": (), "java": ("echo_typed",)}
STOPS = {"python": (), "go": (), "node": ("stops", "stops_inside", "stops_wrapped"), "java": ("stops",)}
_STOPS = {
    "stops": "it waits when the worker stops",
    "stops_inside": "it is aborted by its `cancellationSignal` when the worker stops",
    "stops_wrapped": "it catches that, and throws an `Error` with it as `cause`",
}


def with_tables(text: str, found: Mapping[str, Any]) -> str:
    """Return the page with its tables made anew of what was *found*, by language."""
    tables = {
        "versions": _versions(found),
        "sent": _sent(found),
        "values": _values(found),
        **{f"errors of {NAMES[language]}": _errors(language, found[language]) for language in NAMES},
        "heartbeats": _heartbeats(found),
    }
    for name, lines in tables.items():
        begin, end = f"<!-- {name} -->\n", "<!-- end -->"
        pattern = re.compile(f"({re.escape(begin)}).*?({re.escape(end)})", re.DOTALL)
        table = "\n".join(lines)
        text, made = pattern.subn(lambda match, table=table: f"{match[1]}\n{table}\n\n{match[2]}", text)
        assert made == 1, name
    return text


def _versions(found: Mapping[str, Any]) -> Iterator[str]:
    yield ", ".join(found[language]["sdk"] for language in NAMES) + "."


def _sent(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _head("sent", *NAMES.values())
    for name in found["python"]["echo"]:
        yield _row(f"`{name}`" if "^" not in name else name, *(f"`{found[each]['echo'][name]}`" for each in NAMES))
    typed = {
        "whole": "null, to an integer field",
        "text": "a key left out, to a text field",
        "pointer": "a key left out, to a pointer or boxed field",
    }
    for key, what in typed.items():
        yield _row(what, *(_json(found[each]["typed"][key]) if "typed" in found[each] else "" for each in NAMES))


def _values(found: Mapping[str, Any]) -> Iterator[str]:
    yield from _head("language", "returned", "what the saga gets")
    for language, title in NAMES.items():
        for name in VALUES[language]:
            yield _row(title, _VALUES[name][language], _arrived(found[language]["values"][name]))


def _arrived(value: Any) -> str:
    if isinstance(value, dict) and value.keys() == {"error", "outcome"}:
        return f"nothing: error `{value['error']}`, outcome `{value['outcome']}`"
    return _json(value)


def _errors(language: str, found: Mapping[str, Any]) -> Iterator[str]:
    yield from _head("what the function does", "type", "behind it", "another attempt", "outcome")
    for name, what in _ERRORS[language].items():
        error = found["errors"][name]
        causes = ", ".join(f"`{each}`" for each in error["causes"])
        yield _row(what, f"`{error['type']}`", causes, "yes" if error["retried"] else "no", f"`{error['outcome']}`")
    for name, error in found.get("stops", {}).items():
        yield _row(_STOPS[name], f"`{error['type']}`", "", "yes", f"`{error['outcome']}`")


def _heartbeats(found: Mapping[str, Any]) -> Iterator[str]:
    calls = {
        "python": '`heartbeat("a", 2)`',
        "go": '`RecordHeartbeat(ctx, "a", 2)`',
        "node": "`heartbeat(['a', 2])`",
        "java": '`heartbeat(List.of("a", 2))`',
    }
    yield from _head("language", "call", "details")
    for language, title in NAMES.items():
        yield _row(title, calls[language], _json(found[language]["heartbeat"]))


def _json(value: Any) -> str:
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"
