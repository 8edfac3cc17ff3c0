"""Which runs a list shows, chosen by names of sagas and by the beginning of an id. Every database chooses the same.

Measured with server 1.32 on SQLite and PostgreSQL: ``=`` and ``IN`` are exact. SQLite ignores case in ``STARTS_WITH``,
but not in a comparison. A filter loses a quote at the end of a text, and with a double quote or a backslash in the text
it finds something else. So we ask the server only for the part before such a character. It then chooses too many runs,
and this module leaves out those that are not meant.
"""

from __future__ import annotations

import re

from sagadsl.immutable import Immutable

_ASKABLE = re.compile(r"""[^'"\\\x00-\x1f\x7f]*""")
_LAST = "\U0010ffff"
"""Sorts behind every other character."""


class Chosen(Immutable):
    """A choice of runs, by what is known about them without asking them.

    Attributes:
        names: One name of each group must be the saga's; ``x*`` stands for every name that begins with ``x``.
        beginning: The beginning of the id.
        query: A further condition in Temporal's list filter, as people write it.
        where: Conditions on search attributes, from ``where.condition``.
    """

    names: tuple[tuple[str, ...], ...] = ()
    beginning: str = ""
    query: str = ""
    where: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether the server chooses no more runs than are meant. Names of sagas have no such characters."""
        return _ASKABLE.fullmatch(self.beginning) is not None

    def fits(self, id: str, name: str) -> bool:
        """Whether a run is meant, as far as its id and name say."""
        return id.startswith(self.beginning) and all(_is_one(name, group) for group in self.names)

    def conditions(self, *, ignores_case: bool) -> list[str]:
        """Return the conditions that the server is asked with.

        Args:
            ignores_case: The server's store ignores case in a search by the beginning of a text.
        """
        found = [_name(group, ignores_case) for group in self.names]
        if beginning := _askable(self.beginning):
            found.append(_begins("WorkflowId", beginning, ignores_case))
        return found + [f"({each})" for each in (self.query, self.where) if each]


def _is_one(name: str, group: tuple[str, ...]) -> bool:
    return any(name.startswith(each[:-1]) if each.endswith("*") else name == each for each in group)


def _name(group: tuple[str, ...], ignores_case: bool) -> str:
    askable = [each for each in group if _ASKABLE.fullmatch(each)]
    exact = ", ".join(f"'{name}'" for name in askable if not name.endswith("*"))
    parts = [f"WorkflowType IN ({exact})"] if exact else []
    parts += [_begins("WorkflowType", name[:-1], ignores_case) for name in askable if name.endswith("*")]
    return f"({' OR '.join(parts)})" if parts else "WorkflowType = ''"


def _begins(attribute: str, text: str, ignores_case: bool) -> str:
    if ignores_case and text:
        return f"({attribute} >= '{text}' AND {attribute} < '{text}{_LAST}')"
    return f"{attribute} STARTS_WITH '{text}'"


def _askable(text: str) -> str:
    found = _ASKABLE.match(text)
    return found[0] if found else ""
