"""Makes the table."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):  # type: ignore[misc] # Django has no types
    """The first form of the records."""

    initial = True

    dependencies: ClassVar[list[Any]] = []

    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="OnceCall",
            fields=[
                ("id", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("key", models.TextField()),
                ("name", models.TextField()),
                ("state", models.CharField(max_length=8)),
                ("asked", models.TextField()),
                ("answer", models.TextField(null=True)),
                ("undo_answer", models.TextField(null=True)),
                ("changed_at", models.CharField(db_index=True, max_length=32)),
            ],
            options={"db_table": "sagadsl_calls"},
        ),
    ]
