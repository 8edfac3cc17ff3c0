"""What an author writes, seen as schemas, arguments and JSON results. No worker."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import inspect
import pickle
import subprocess
import sys
import typing
import uuid
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from sagadsl import Context, Permanent, Transient, Unknown, activity
from sagadsl.authoring import MARK, InvalidInput, InvalidOutput, Spec
from sagadsl.plugins.results import to_json_data
from sagadsl.plugins.signatures import InputReader, Takes, form, output_schema


class ChargeIn(BaseModel, extra="forbid"):
    amount: typing.Annotated[int, Field(gt=0)]
    note: str = ""


@dataclasses.dataclass
class Refund:
    charge_id: str
    reason: str | None = None


class Line(typing.TypedDict):
    sku: str
    count: typing.NotRequired[int]


class Order(typing.TypedDict):
    lines: list[Line]


class Colour(enum.Enum):
    RED = "red"


class Money(BaseModel):
    amount: Decimal


def of_model(inp: ChargeIn, ctx: Context) -> None: ...


def of_dataclass(inp: Refund) -> Refund: ...


def of_typed_dict(order: Order) -> Order: ...


def of_dict(data: dict[str, Any]) -> dict[str, Any]: ...


def of_parameters(charge_id: str, *, reason: str | None = None, json: int = 3, ctx: Context | None = None) -> None: ...


def of_nothing(ctx: Context) -> str: ...


def of_anything(order) -> None: ...  # type: ignore[no-untyped-def] # that is the case


def _read(function: Callable[..., Any], *sent: Any) -> dict[str, Any]:
    return dict(InputReader(form(function)).read(sent, Context()).keyword)


def _refusal(function: Callable[..., Any], *sent: Any) -> str:
    with pytest.raises(InvalidInput) as refused:
        _read(function, *sent)
    assert not refused.value.retryable
    assert refused.value.type == "InvalidInput"
    return str(refused.value)


def test_the_decorator_leaves_the_function_as_it_is() -> None:
    """An author tests a function by calling it."""

    @activity
    def double(x: int) -> int:
        return 2 * x

    @activity(errors=["Odd"], compensated_by="halve", default_timeout="30s", idempotent=True)
    async def triple(x: int) -> int:
        return 3 * x

    assert double(2) == 4
    assert getattr(double, MARK) == Spec()
    assert getattr(triple, MARK) == Spec(
        errors=("Odd",), compensated_by="halve", timeouts={"start_to_close": "30s"}, idempotent=True
    )


def test_the_decorator_refuses_what_it_cannot_mean() -> None:
    """A mistake is told where it is made."""
    with pytest.raises(TypeError, match="not the text `CardDeclined`"):
        activity(errors="CardDeclined")
    with pytest.raises(TypeError, match="either default_timeout or timeouts"):
        activity(default_timeout="1s", timeouts={})
    with pytest.raises(TypeError, match="functions and methods"):
        activity(ChargeIn)


@pytest.mark.parametrize(
    ("function", "takes", "keys"),
    [
        (of_model, Takes.WHOLE, {"amount", "note"}),
        (of_dataclass, Takes.WHOLE, {"charge_id", "reason"}),
        (of_typed_dict, Takes.WHOLE, {"lines"}),
        (of_parameters, Takes.PARAMETERS, {"charge_id", "reason", "json"}),
        (of_nothing, Takes.NOTHING, set()),
        (of_anything, Takes.PARAMETERS, {"order"}),
    ],
)
def test_the_input_is_one_object_whatever_the_signature(
    function: Callable[..., Any], takes: Takes, keys: set[str]
) -> None:
    """Models and plain parameters; the context is no part of it."""
    shape = form(function)
    schema = InputReader(shape).schema
    assert shape.takes is takes
    assert schema is not None
    assert (schema["type"], set(schema["properties"])) == ("object", keys)


def test_arguments_arrive_as_declared() -> None:
    """Model, dataclass, TypedDict, dict, parameters with defaults, nothing."""
    assert _read(of_model, {"amount": 3}) == {"ctx": Context(), "inp": ChargeIn(amount=3)}
    assert _read(of_dataclass, {"charge_id": "c"}) == {"inp": Refund("c")}
    assert _read(of_typed_dict, {"lines": [{"sku": "a"}]}) == {"order": {"lines": [{"sku": "a"}]}}
    assert _read(of_dict, {"any": [1, None]}) == {"data": {"any": [1, None]}}
    assert _read(of_parameters, {"charge_id": "c", "json": 4}) == {"charge_id": "c", "json": 4, "ctx": Context()}
    assert _read(of_nothing) == {"ctx": Context()}
    assert _read(of_nothing, {"of": "its step"}) == {"ctx": Context()}


def test_a_wrong_input_is_refused_with_field_found_and_expected() -> None:
    """Checked again in the worker, never by retrying (runner#1070)."""
    assert _refusal(of_model, {"amount": "12"}) == 'field `amount`: expected a valid integer, found `"12"`'
    assert _refusal(of_model, {"amount": 0}) == "field `amount`: expected greater than 0, found `0`"
    assert _refusal(of_model, {}) == "field `amount` is missing"
    assert _refusal(of_typed_dict, {"lines": [{"sku": 1}]}).startswith("field `lines[0].sku`: expected a valid string")
    assert _refusal(of_typed_dict, {"lines": [{"count": 1}]}) == "field `lines[0].sku` is missing"
    assert _refusal(of_parameters, {"charge_id": "c", "resn": "x"}) == (
        "field `resn` is not known, did you mean `reason`?"
    )
    assert _refusal(of_parameters, "c") == 'the input: expected an object, found `"c"`'


def test_a_long_value_is_cut_in_the_message() -> None:
    """R18 in spirit: a message is no copy of the data."""
    assert len(_refusal(of_model, {"amount": "x" * 10_000})) < 300


def test_a_whole_number_is_an_integer_also_when_written_with_a_point() -> None:
    """3.0 is an integer in JSON Schema, and JSON from elsewhere says 3.0."""
    assert _read(of_model, {"amount": 3.0})["inp"].amount == 3
    assert "found `3.5`" in _refusal(of_model, {"amount": 3.5})


def test_nothing_is_converted_that_the_static_check_would_refuse() -> None:
    """Both checks agree, so text is no number and 1 is no boolean."""

    def flag(on: bool, at: datetime.datetime | None = None) -> None: ...

    def when(at: datetime.datetime) -> None: ...

    assert "expected a valid boolean" in _refusal(flag, {"on": 1})
    assert _read(when, {"at": "2026-01-01T00:00:00Z"})["at"].year == 2026


def test_a_signature_that_no_json_fits_is_refused() -> None:
    """The author learns it when the plugin is looked at."""

    def star(*values: int) -> None: ...

    class Odd: ...

    def odd(value: Odd) -> None: ...

    odd.__annotations__["value"] = Odd
    with pytest.raises(TypeError, match="names each of its parameters"):
        form(star)
    with pytest.raises(TypeError, match="parameter `value` of `odd`"):
        InputReader(form(odd))


def test_a_plain_temporal_activity_takes_its_only_parameter_as_the_whole_input() -> None:
    """Accepted unchanged, so the wire stays as it is."""

    def greet(name: str) -> str: ...

    def compose(greeting: str, name: str) -> str: ...

    assert InputReader(form(greet, plain=True)).read(("Ann",), Context()).keyword == {"name": "Ann"}
    reader = InputReader(form(compose, plain=True))
    assert reader.read(({"greeting": "Hi", "name": "Ann"},), Context()).keyword == {"greeting": "Hi", "name": "Ann"}
    assert reader.read(("Hi", "Ann"), Context()).keyword == {"greeting": "Hi", "name": "Ann"}


def test_results_are_json_as_replay_will_see_them() -> None:
    """Integer keys, a tuple, a set, an enum; and what models and dates say of themselves."""
    result = {1: (1, 2), "set": {3, 1}, "enum": Colour.RED, Colour.RED: Refund("c"), "at": datetime.date(2026, 1, 2)}
    assert to_json_data(result) == {
        "1": [1, 2],
        "set": [1, 3],
        "enum": "red",
        "red": {"charge_id": "c", "reason": None},
        "at": "2026-01-02",
    }
    assert to_json_data(Money(amount=Decimal("1.50"))) == {"amount": "1.50"}
    assert to_json_data(uuid.UUID(int=1)) == "00000000-0000-0000-0000-000000000001"


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ({"a": [b"x"]}, "output.a[0] is `bytes`"),
        ({"price": Decimal("1.5")}, "output.price is the Decimal `1.5`"),
        (float("nan"), "output is `nan`"),
        ({1: 1, "1": 2}, "the key `1` twice"),
        ({(1, 2): 1}, "the key `(1, 2)`"),
        (object(), "of type `object`"),
        ((x for x in ()), "generator"),
        (3j, "of type `complex`"),
    ],
)
def test_a_result_without_a_json_form_is_a_clear_error(result: Any, says: str) -> None:
    """Bytes and Decimal give a clear plugin error; the effect stands, so the outcome is unknown."""
    with pytest.raises(InvalidOutput) as refused:
        to_json_data(result)
    assert says in str(refused.value)
    assert (refused.value.retryable, refused.value.effect_unknown) == (False, True)


def test_a_result_that_contains_itself_is_an_error() -> None:
    """No RecursionError out of a plugin's data."""
    result: list[Any] = []
    result.append(result)
    with pytest.raises(InvalidOutput, match="contains itself"):
        to_json_data(result)


def test_output_schemas_come_from_the_return_annotation() -> None:
    """An output model feeds the checks of what later steps read."""
    assert output_schema(form(of_nothing)) == {"type": "string"}
    assert output_schema(form(of_model)) == {"type": "null"}
    assert output_schema(form(lambda: None)) is None
    declared = output_schema(form(of_dataclass))
    assert declared is not None
    assert set(declared["properties"]) == {"charge_id", "reason"}


def test_a_context_can_be_made_by_hand_for_a_test_of_a_function() -> None:
    """No worker needed."""
    beats: list[tuple[Any, ...]] = []
    context = Context(idempotency_key="k", send_heartbeat=lambda *details: beats.append(details))
    context.heartbeat("half", 2)
    Context().heartbeat()
    assert (context.idempotency_key, context.cancelled, beats) == ("k", False, [("half", 2)])


def test_errors_say_what_they_mean_for_the_saga_and_survive_pickling() -> None:
    """R5, R55: the type is the bare class name, or what the author says."""

    class CardDeclined(Permanent):
        pass

    assert (CardDeclined("no").type, CardDeclined("no").retryable) == ("CardDeclined", False)
    assert Permanent("no", type="CardDeclined").type == "CardDeclined"
    late = Transient("later", {"code": 1}, retry_after=datetime.timedelta(seconds=3))
    copy = pickle.loads(pickle.dumps(late))
    assert (copy.message, copy.details, copy.retry_after, copy.type) == (
        "later",
        ({"code": 1},),
        datetime.timedelta(seconds=3),
        "Transient",
    )
    assert (Unknown("?").effect_unknown, Unknown("?").retryable, str(Unknown("?"))) == (True, True, "?")


def test_the_public_names_load_lazily_and_without_heavy_imports() -> None:
    """A plugin costs no SDK and no pydantic until its types are asked for."""
    code = (
        "import sys, sagadsl; before = 'sagadsl.authoring' in sys.modules; sagadsl.Context;"
        "print(before, [name for name in ('temporalio', 'pydantic') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False []"
    import sagadsl

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        sagadsl.nothing  # noqa: B018 # the access is the test


def test_each_option_of_the_decorator_stands_on_the_page_for_authors() -> None:
    page = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text("utf-8")
    options = [name for name, each in inspect.signature(activity).parameters.items() if each.kind is each.KEYWORD_ONLY]

    assert len(options) > 5
    assert [name for name in options if f"{name}=" not in page] == []
