"""The names of errors in the SDKs, and the names that a definition may use for them."""

from __future__ import annotations

WRAPPERS = frozenset(
    {
        "wrapError",  # Go: fmt.Errorf("…: %w", err)
        "java.util.concurrent.CompletionException",
        "java.util.concurrent.ExecutionException",
    }
)
"""Types of errors that carry another one and say nothing of their own."""


def bare_type(name: str) -> str:
    """Return the class name of a qualified one: ``acme.errors.CardDeclined`` is recorded as ``CardDeclined``.

    A dotted name that does not end like a class is an error code (``payment.declined``) and stays.
    """
    last = name.rpartition(".")[2]
    return last if last[:1].isupper() else name


def class_name(name: str) -> str:
    """Return the same, of a class in a class too: Java records ``acme.Shop$Declined``."""
    last = bare_type(name).rpartition("$")[2]
    return last if last[:1].isupper() else name
