"""What loading a definition gives, and how the places of definitions are written.

It imports none of the stages: a command says what it takes, or that nothing has changed, in a third of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sagadsl.diagnostics.findings import Finding, Severity
from sagadsl.immutable import Immutable, field
from sagadsl.language.document import Document

if TYPE_CHECKING:
    from sagadsl.language.model import Saga

SUFFIXES = (".saga.yaml", ".saga.yml")
NO_SUCH_SAGA = "SD018"
"""The code for an address that means no saga of its file, or no single one."""


class Address(NamedTuple):
    """What ``FILE`` or ``FILE#NAME`` means.

    Attributes:
        saga: The name of one saga of the file; ``None`` means all of them.
    """

    file: Path
    saga: str | None = None

    @classmethod
    def of(cls, written: Path | str) -> Address:
        """Read an address. A file whose own name has a ``#`` is that file."""
        path = Path(written)
        file, mark, saga = str(written).rpartition("#")
        if not mark or _is_file(path) or not _is_file(Path(file)):
            return cls(path)
        return cls(Path(file), saga)


def file_part(written: str) -> str:
    """Return the part of an address that names a file, also when there is no such file."""
    return written.partition("#")[0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except ValueError:  # no file can have such a name
        return False


class Size(Immutable):
    """How large a saga is: its steps, at any depth, and the activities that it calls."""

    steps: int
    activities: frozenset[str]


class LookedAt(Immutable):
    """What the checks of a definition have looked at beside its own text.

    Attributes:
        activities: Names whose signatures they have asked for.
        libraries: Paths of libraries, as imported and with every symbolic link resolved; also of those that only
            definitions looked at before have imported.
        folder: The definitions beside it: it calls other sagas.
    """

    activities: frozenset[str] = frozenset()
    libraries: frozenset[tuple[str, str]] = frozenset()
    folder: bool = False


class Loaded(Immutable):
    """The result of loading one definition: a file, or one saga of a file with several.

    Attributes:
        document: The definition as data, with the places of its values; what it uses of libraries is in place.
        findings: All its mistakes, in the order of the file.
        saga: The model; ``None`` when any finding is an error.
        draft: The model of all that could be read, even with errors: only to draw it, never to run it.
        size: How large the saga is; ``None`` when ``saga`` is.
        looked_at: What its checks have looked at beside its own text.
        secrets: Where the activities that it calls have secrets, as their models mark them: by name, the places in
            ``input`` and ``output``.
    """

    document: Document
    findings: tuple[Finding, ...] = ()
    saga: Saga | None = None
    draft: Saga | None = None
    size: Size | None = None
    looked_at: LookedAt = field(default_factory=LookedAt)
    secrets: Mapping[str, Mapping[str, list[list[str]]]] = field(default_factory=dict)

    @property
    def is_library(self) -> bool:
        """Whether it is a library: definitions import it, and it runs nothing itself."""
        from sagadsl.language.schema.library import is_library  # noqa: PLC0415 # see above

        return is_library(self.document)

    @property
    def definition(self) -> Mapping[str, Any]:
        """What a run of it is pinned to, as data."""
        from sagadsl.language.schedules import without  # noqa: PLC0415 # see above

        definition: Mapping[str, Any] = without(self.document.data)
        return definition

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that make the definition unusable."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)
