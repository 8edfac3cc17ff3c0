"""What is run: shipped definitions with shorter limits, a parent whose child waits for a person, and a weekend."""

from __future__ import annotations

from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "definitions"

_HURRIED = (
    "defaults:\n"
    "  timeouts: {start_to_close: 20s, heartbeat: 4s}\n"
    "  retry: {initial_interval: 200ms, maximum_interval: 2s, maximum_attempts: 5}\n"
    "  compensation: {timeouts: {start_to_close: 20s, heartbeat: 4s}, retry: {initial_interval: 200ms}}\n"
)

ADVANCE = """\
sagadsl: 1
name: advance
version: "1"
description: Pay an advance once a person has approved it; the waiting is done by a child saga.
input:
  type: object
  required: [from_account, to_account, amount]
  properties:
    from_account: {type: string}
    to_account: {type: string}
    amount: {type: integer}
    fail: {type: boolean}
timeout: 30m
steps:
  - id: withdraw
    activity: bank.withdraw
    input: {account: "{{ input.from_account }}", amount: "{{ input.amount }}"}
    compensation: {activity: bank.undo_withdraw, input: {key: "{{ step.idempotency_key }}"}}
  - id: approve
    saga: approve-advance
    input: {}
    compensation: auto
  - id: deposit
    activity: bank.deposit
    input: {account: "{{ input.to_account }}", amount: "{{ input.amount }}"}
    compensation: {activity: bank.undo_deposit, input: {key: "{{ step.idempotency_key }}"}}
  - id: judge
    activity: chaos.judge
    input: {fail: "{{ input.fail | default(false) }}"}
    compensation: none
"""
APPROVE = """\
sagadsl: 1
name: approve-advance
version: "1"
input: {type: object}
steps:
  - id: form
    activity: shop.reserve_stock
    input: {sku: form, quantity: 1}
    compensation: {activity: shop.release_stock, input: {key: "{{ step.idempotency_key }}"}}
  - id: decision
    wait_for:
      signal: approval
      timeout: 20m
      payload: {type: object, required: [approved], properties: {approved: {type: boolean}}}
  - id: refused
    if: not steps.decision.output.approved
    fail: {type: Refused, message: a person said no}
"""
WEEKEND = """\
sagadsl: 1
name: weekend
version: "1"
description: A room at the inn and a place on the ferry, whose activities use sagadsl.once.
input:
  type: object
  required: [guest, voyage]
  properties:
    guest: {type: string}
    voyage: {type: string}
    fail: {type: boolean}
timeout: 30m
steps:
  - id: room
    activity: inn.book_room
    input: {guest: "{{ input.guest }}"}
    compensation: {activity: inn.give_back_room, input: {key: "{{ step.idempotency_key }}"}}
  - id: berth
    activity: ferry.sell_ticket
    input: {voyage: "{{ input.voyage }}", passenger: "{{ input.guest }}"}
    compensation: {activity: ferry.take_back_ticket, input: {key: "{{ step.idempotency_key }}"}}
  - id: judge
    activity: chaos.judge
    input: {fail: "{{ input.fail | default(false) }}"}
    compensation: none
"""


def lay_out(folder: Path) -> Path:
    """Write all of them into *folder*, and return it."""
    folder.mkdir()
    for name in ("transfer_money", "fulfil_order", "prepare_parcel"):
        text = (SHIPPED / f"{name}.saga.yaml").read_text(encoding="utf-8")
        (folder / f"{name}.saga.yaml").write_text(_hurried(text), encoding="utf-8")
    for name, text in (("advance", ADVANCE), ("approve_advance", APPROVE), ("weekend", WEEKEND)):
        (folder / f"{name}.saga.yaml").write_text(_hurried(text), encoding="utf-8")
    return folder


def _hurried(text: str) -> str:
    lines = text.splitlines(keepends=True)
    begins = [number for number, line in enumerate(lines) if line.startswith("defaults:")]
    if begins:  # its own stand in the way
        end = begins[0] + 1
        while lines[end].startswith(" "):
            end += 1
        del lines[begins[0] : end]
    steps = next(number for number, line in enumerate(lines) if line.startswith("steps:"))
    return "".join([*lines[:steps], _HURRIED, *lines[steps:]])
