"""The app for `INSTALLED_APPS`."""

from __future__ import annotations

from django.apps import AppConfig


class OnceConfig(AppConfig):  # type: ignore[misc] # Django has no types
    """The records of calls, in a table of their own."""

    name = "sagadsl.once.django"
    label = "sagadsl_once"
    verbose_name = "Calls of sagas"
