"""Makes the tables."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import migrations, models
from django.db.models.deletion import PROTECT


class Migration(migrations.Migration):  # type: ignore[misc] # Django has no types
    """The first form of the tables."""

    initial = True

    dependencies: ClassVar[list[Any]] = []

    operations: ClassVar[list[Any]] = [
        migrations.CreateModel(
            name="Sale",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField()),
                ("leg", models.CharField(max_length=10)),
            ],
        ),
        migrations.CreateModel(
            name="Voyage",
            fields=[
                ("name", models.CharField(max_length=100, primary_key=True, serialize=False)),
                ("places", models.IntegerField()),
                ("free", models.IntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Ticket",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("key", models.TextField(unique=True)),
                ("passenger", models.CharField(max_length=100)),
                ("voyage", models.ForeignKey(on_delete=PROTECT, to="sagadsl_ferry.voyage")),
            ],
        ),
    ]
