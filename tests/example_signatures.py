"""What the example definitions about activities and child sagas may know beside their own text."""

from __future__ import annotations

from sagadsl.language.analysis.known import Known, Signature
from sagadsl.language.load import load
from sagadsl.language.model import Saga

_TEXT = {"type": "string"}

_CHARGE = Signature(
    "payments.charge",
    "acme-pay 1.2.0",
    input_schema={
        "type": "object",
        "required": ["order_id", "amount"],
        "additionalProperties": False,
        "properties": {
            "order_id": _TEXT,
            "amount": {"type": "integer", "exclusiveMinimum": 0, "description": "Minor units"},
            "currency": {"enum": ["EUR", "USD"]},
            "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
            "note": {"anyOf": [_TEXT, {"type": "null"}], "default": None},
        },
        "$defs": {
            "Line": {"type": "object", "required": ["sku"], "properties": {"sku": _TEXT, "count": {"type": "integer"}}}
        },
    },
    output_schema={
        "type": "object",
        "required": ["charge_id", "amount", "status"],
        "properties": {
            "charge_id": _TEXT,
            "amount": {"type": "integer"},
            "status": {"enum": ["CHARGED", "DECLINED"]},
            "hint": {"anyOf": [_TEXT, {"type": "null"}], "default": None},
        },
    },
    errors=("CardDeclined", "CardExpired"),
    compensated_by="payments.refund",
)
_REFUND = Signature(
    "payments.refund",
    "acme-pay 1.2.0",
    input_schema={
        "type": "object",
        "required": ["charge_id"],
        "additionalProperties": False,
        "properties": {"charge_id": _TEXT},
    },
    output_schema={"type": "null"},
    errors=("AlreadyRefunded",),
)
_COUNT = Signature(
    "stock.count",
    "acme-stock 0.3.0",
    input_schema={"type": "object", "properties": {}, "additionalProperties": False},
    output_schema={"type": "integer"},
)
_MAIL = Signature(
    "mail.send",
    "acme-mail 2.0.0",
    input_schema={"type": "object", "required": ["to", "text"], "properties": {"to": _TEXT, "text": _TEXT}},
)

_SHIP_ORDER = """
sagadsl: 1
name: ship-order
input:
  type: object
  required: [order_id, weight]
  additionalProperties: false
  properties: {order_id: {type: string}, weight: {type: number}}
steps:
  - {id: pack, activity: shop.pack, compensation: none}
  - {id: label, set: {number: "{{ input.order_id ~ '-1' }}"}}
output: {label: "{{ steps.label.output.number }}"}
"""
_SUPERVISE = """
sagadsl: 1
name: supervise
steps:
  - {id: again, saga: asks-its-parent, compensation: none}
"""


def _saga(text: str) -> Saga:
    loaded = load(text)
    assert loaded.saga is not None, loaded.findings
    return loaded.saga


def known_to(name: str) -> Known:
    """Return what a file of chunks, or the page of a code, may know: activities or sagas, or nothing."""
    if name in ("activities", "SD401", "SD402", "SD404", "SD406", "SD811"):
        return Known(activities={each.name: each for each in (_CHARGE, _REFUND, _COUNT, _MAIL)})
    if name in ("children", "SD204", "SD403"):
        sagas = {each.name: each for each in map(_saga, (_SHIP_ORDER, _SUPERVISE))}
        return Known(sagas=sagas, neighbours=("invoice-order", *sagas))
    return Known()
