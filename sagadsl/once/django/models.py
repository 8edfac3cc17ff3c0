"""The table of the records."""

from __future__ import annotations

from django.db import models

from sagadsl.once.records import TABLE


class OnceCall(models.Model):  # type: ignore[misc] # Django has no types
    """One idempotency key, and what became of its call."""

    id = models.CharField(max_length=64, primary_key=True)
    key = models.TextField()
    name = models.TextField()
    state = models.CharField(max_length=8)
    asked = models.TextField()
    answer = models.TextField(null=True)
    undo_answer = models.TextField(null=True)
    changed_at = models.CharField(max_length=32, db_index=True)

    class Meta:
        db_table = TABLE

    def __str__(self) -> str:
        return f"{self.key} ({self.state})"
