"""The tickets, in a database of Django: each key sells one place at most, and takes it back at most once."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import Any

import django
from sagadsl import Permanent
from sagadsl.once.django import once, undo
from sagadsl.once.records import KeptCall, TakenBack

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sagadsl_ferry.settings")
django.setup()

from django.db.models import F  # noqa: E402 # Django first
from sagadsl.once.django.models import OnceCall  # noqa: E402

from sagadsl_ferry.models import Sale, Ticket, Voyage  # noqa: E402

SELL = "ferry.sell_ticket"
_LEGS = {"done": ["sell"], "undone": ["sell", "take back"], "refused": []}


def sell(key: str, voyage: str, passenger: str) -> dict[str, Any]:
    """Sell a place; the answer to a repetition is the first one."""

    def do() -> dict[str, Any]:
        found = Voyage.objects.select_for_update().filter(name=voyage).first()
        if found is None or not found.free:
            raise Permanent(f"no place is left on `{voyage}`", type="NoPlace")
        Voyage.objects.filter(name=voyage).update(free=F("free") - 1)
        ticket = Ticket.objects.create(key=key, voyage=found, passenger=passenger)
        Sale.objects.create(key=key, leg="sell")
        return {"ticket": ticket.pk, "voyage": voyage}

    answer: dict[str, Any] = once(key, do, name=SELL, asked={"voyage": voyage, "passenger": passenger})
    return answer


def take_back(key: str) -> TakenBack:
    """Take the ticket of that key back, or make sure that none is sold under it."""

    def do(call: KeptCall) -> None:
        Ticket.objects.filter(key=call.key).delete()
        Voyage.objects.filter(name=call.asked["voyage"]).update(free=F("free") + 1)
        Sale.objects.create(key=call.key, leg="take back")

    return undo(key, do, name=SELL)


def open_voyage(name: str, places: int) -> None:
    """Offer a voyage with so many places."""
    Voyage.objects.create(name=name, places=places, free=places)


def states() -> dict[str, str]:
    """Return what became of each key."""
    return dict(OnceCall.objects.values_list("key", "state"))


def problems() -> list[str]:
    """Compare places, tickets, till and keys with each other; one sentence for each thing that does not agree."""
    known, legs = states(), defaultdict(list)
    for key, leg in Sale.objects.order_by("id").values_list("key", "leg"):
        legs[key].append(leg)
    tickets = dict(Ticket.objects.values_list("key", "voyage_id"))
    found = [
        f"key `{key}` is {known.get(key, 'unknown')}, and the till has {legs[key]} for it"
        for key in sorted(legs.keys() | known.keys())
        if legs[key] != _LEGS.get(known.get(key, ""), [])
    ]
    done = {key for key, state in known.items() if state == "done"}
    found += [
        f"key `{key}` is {known.get(key)}, and its ticket says otherwise" for key in sorted(done ^ tickets.keys())
    ]
    for voyage in Voyage.objects.all():
        sold = list(tickets.values()).count(voyage.name)
        if voyage.free + sold != voyage.places:
            found.append(f"`{voyage.name}` has {voyage.free} free and {sold} sold places, and {voyage.places} in all")
    return found
