"""An activity's effect once for each idempotency key, and never again after its undo.

`sagadsl.once.sqlalchemy` and `sagadsl.once.django` have `once`, `undo` and `forget`. What they have in common is in
`records.py`. Modules of activities may import this package at any time: it is light.
"""

from __future__ import annotations

ERRORS = ("AlreadyUndone", "KeyReused")
"""Types of the errors for which a saga may have an answer of its own: `@activity(errors=[*once.ERRORS])`."""
