"""What shall happen to each saga: drawn from the seed, before anything runs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.guests import VOYAGE
from tests.chaos.stage import ACCOUNTS, SHOP

TRANSFER, ORDER, ADVANCE, WEEKEND = "transfer-money", "fulfil-order", "advance", "weekend"


@dataclass(frozen=True, slots=True)
class Plan:
    """One saga and those who step in.

    Attributes:
        at: Seconds after the beginning at which it is started.
        how: ``gateway``, ``client`` or ``name``.
        starts: How often it is started at once; ``again`` once more after it has ended.
        cancel: Seconds after its start; ``pause`` the same.
        broken: Nothing of it can be undone until an operator has mended it, or decides without that: ``verb``.
        answer: What a person says who is asked; ``None`` cancels.
        kind: In words, for counts.
    """

    id: str
    saga: str
    input: dict[str, Any]
    at: float
    how: str
    kind: str
    starts: int = 1
    again: bool = False
    cancel: float | None = None
    pause: float | None = None
    broken: bool = False
    verb: str = "retry"
    answer: bool | None = True
    key: str = field(default="")

    @property
    def amount(self) -> int:
        """Money that moves if it completes."""
        if self.saga == WEEKEND:
            return 0
        lines = self.input.get("lines")
        return sum(line["price"] for line in lines) if lines else int(self.input["amount"])


def plans(
    seed: int, transfers: int, orders: int, advances: int, seconds: float, *, weekends: int = 0
) -> Iterator[Plan]:
    """Yield all plans, in no order."""
    for saga, number in ((TRANSFER, transfers), (ORDER, orders), (ADVANCE, advances), (WEEKEND, weekends)):
        for index in range(number):
            yield _plan(random.Random(f"{seed} {saga} {index}"), saga, index, seconds)


def _plan(chance: random.Random, saga: str, index: int, seconds: float) -> Plan:
    kind, input_ = _story(chance, saga, index)
    how = chance.choices(("gateway", "client", "name"), (5, 3, 2))[0]
    one, other = chance.random(), chance.random()
    return Plan(
        f"{saga.partition('-')[0]}-{index:05}-{chance.randrange(16**4):04x}",
        saga,
        input_,
        chance.uniform(0, seconds),
        how,
        kind,
        starts=2 if chance.random() < 0.2 else 1,
        again=chance.random() < 0.1,
        cancel=chance.uniform(0, 5) if one < 0.15 else None,
        pause=chance.uniform(0, 3) if 0.15 < one < 0.22 else None,
        broken=other < 0.12,
        verb=chance.choices(("retry", "skip", "abort"), (3, 1, 1))[0],
        answer=chance.choices((True, False, None), (6, 2, 1))[0],
    )


def _story(chance: random.Random, saga: str, index: int) -> tuple[str, dict[str, Any]]:
    if saga == ORDER:
        lines = [
            {"sku": f"sku-{number}", "quantity": 1, "price": chance.randint(1, 40)}
            for number in range(chance.randint(1, 4))
        ]
        input_: dict[str, Any] = {
            "order": f"o-{index}",
            "account": chance.choice(ACCOUNTS),
            "shop_account": SHOP,
            "lines": lines,
            "approval_above": chance.choice((0, 1000)),
            "email": "ada@example.com",
        }
        fails = chance.choices(("", "label", "hand_over", "money"), (6, 2, 2, 1))[0]
        if fails == "money":
            input_["account"] = "nobody"
        elif fails:
            input_["fail_at"] = fails
        return f"order {fails or 'good'}", input_
    if saga == WEEKEND:
        fails = chance.choices(("", "judged", "nowhere"), (6, 3, 1))[0]
        input_ = {"guest": f"guest-{index}", "voyage": VOYAGE if fails != "nowhere" else "nowhere"}
        return f"weekend {fails or 'good'}", input_ | ({"fail": True} if fails == "judged" else {})
    giver, taker = chance.sample(ACCOUNTS, 2)
    input_ = {"from_account": giver, "to_account": taker, "amount": chance.randint(1, 200)}
    fails = chance.choices(("", "judged", "money", "nobody"), (5, 3, 1, 1))[0]
    if fails == "judged":
        input_["fail"] = True
    elif fails == "money":
        input_["amount"] = 10**9
    elif fails:
        input_["to_account"] = "nobody"
    return f"{saga.partition('-')[0]} {fails or 'good'}", input_
