"""A small shop for the tests of the commands that need a server: one definition, and activities in a module."""

from __future__ import annotations

from pathlib import Path

ACTIVITIES = '''
import asyncio
from pathlib import Path
from sagadsl import Context, Permanent, Transient, activity

@activity
async def charge(order: str) -> dict:
    """Charge the customer."""
    return {"charge_id": f"ch_{order}"}

@activity
async def refund(order: str, broken: str = "") -> None:
    """Give the money back; not while the file *broken* exists."""
    if broken and Path(broken).exists():
        raise Permanent("the bank is down", type="BankDown")

@activity
async def ship(order: str, how: str, ctx: Context) -> dict:
    """Ship the order."""
    if how == "fail":
        raise Permanent("carrier rejected address", type="AddressInvalid")
    if how == "flaky" and ctx.attempt < 3:
        raise Transient("carrier busy", type="Busy")
    while how == "slow":
        await asyncio.sleep(0.1)
        ctx.heartbeat()
    return {"tracking": f"t_{order}"}
'''

DEFINITION = """\
sagadsl: 1
name: order
version: "1.0.0"
input:
  type: object
  required: [order]
  additionalProperties: false
  properties:
    order: {type: string}
    how: {enum: [ok, fail, flaky, slow]}
    broken: {type: string}
    wait: {type: boolean}
defaults:
  retry: {initial_interval: 100ms, maximum_attempts: 3}
steps:
  - id: charge
    activity: charge
    input: {order: "{{ input.order }}"}
    compensation:
      activity: refund
      retry: {maximum_attempts: 1}
      input: {order: "{{ input.order }}", broken: "{{ input.broken | default('') }}"}
  - id: approval
    if: input.wait | default(false)
    wait_for: {signal: approve, timeout: 1h}
  - id: ship
    activity: ship
    timeouts: {start_to_close: 1m, heartbeat: 10s}
    input: {order: "{{ input.order }}", how: "{{ input.how | default('ok') }}"}
    compensation: none
output: {tracking: "{{ steps.ship.output.tracking }}"}
"""


def lay_out(folder: Path) -> Path:
    """Write the shop into *folder* and return it."""
    (folder / "shop_activities.py").write_text(ACTIVITIES, encoding="utf-8")
    (folder / "order.saga.yaml").write_text(DEFINITION, encoding="utf-8")
    (folder / "sagadsl.toml").write_text('modules = ["shop_activities"]\nplugins = {allow = []}\n', encoding="utf-8")
    return folder


TRIP = """\
sagadsl: 1
name: trip
version: "1.0.0"
input:
  type: object
  properties:
    order: {type: string}
    how: {enum: [ok, fail, flaky, slow]}
    last: {enum: [ok, fail, flaky, slow]}
    broken: {type: string}
    wait: {type: boolean}
steps:
  - id: book
    steps:
      - id: hotel
        saga: order
        input:
          order: "{{ input.order }}"
          how: "{{ input.how | default('ok') }}"
          broken: "{{ input.broken | default('') }}"
          wait: "{{ input.wait | default(false) }}"
        compensation: auto
  - id: last
    activity: ship
    retry: none
    timeouts: {start_to_close: 1m, heartbeat: 10s}
    input: {order: "{{ input.order }}", how: "{{ input.last | default('ok') }}"}
    compensation: none
"""
"""A saga whose first step is the shop's; undone by itself when the last step fails."""

TOUR = """\
sagadsl: 1
name: tour
version: "1.0.0"
input: {type: object}
steps:
  - id: trip
    saga: trip
    input: "{{ input }}"
    compensation: auto
"""


def lay_out_trips(folder: Path) -> Path:
    """Write the shop into *folder*, and sagas that run its saga, and theirs."""
    (folder / "trip.saga.yaml").write_text(TRIP, encoding="utf-8")
    (folder / "tour.saga.yaml").write_text(TOUR, encoding="utf-8")
    return lay_out(folder)
