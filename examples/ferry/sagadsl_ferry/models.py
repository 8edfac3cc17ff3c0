"""The tables of the ferry."""

from __future__ import annotations

from django.db import models


class Voyage(models.Model):  # type: ignore[misc] # Django has no types
    """One crossing, with so many places."""

    name = models.CharField(max_length=100, primary_key=True)
    places = models.IntegerField()
    free = models.IntegerField()


class Ticket(models.Model):  # type: ignore[misc]
    """One sold place, by the key of the call that has sold it."""

    key = models.TextField(unique=True)
    voyage = models.ForeignKey(Voyage, on_delete=models.PROTECT)
    passenger = models.CharField(max_length=100)


class Sale(models.Model):  # type: ignore[misc]
    """One line of the till, to which lines are only ever added: the evidence that `problems` looks at."""

    key = models.TextField()
    leg = models.CharField(max_length=10)
