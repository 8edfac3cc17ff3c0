"""The names of errors in the SDKs, and the names that a definition may use for them."""

from __future__ import annotations

WRAPPERS = frozenset(
    {
        "wrapError",  # Go: fmt.Errorf("…: %w", err)
        "java.util.concurrent.CompletionException",
        "java.util.concurrent.ExecutionException",
    }
)
"""Types of errors that wrap another error and add no meaning."""


def bare_type(name: str) -> str:
    """Return the last part of a qualified class name: the SDK records ``acme.errors.CardDeclined`` as ``CardDeclined``.

    A dotted name that does not end like a class is an error code (``payment.declined``) and stays.
    """
    last = name.rpartition(".")[2]
    return last if last[:1].isupper() else name


def class_name(name: str) -> str:
    """Return the same, but also for a class inside a class: Java records ``acme.Shop$Declined``."""
    last = bare_type(name).rpartition("$")[2]
    return last if last[:1].isupper() else name
