"""What the checks know beside the file: the signatures of activities, and other sagas.

It holds only values. Other modules find and import the activities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sagadsl.immutable import Immutable, field
from sagadsl.language.model import Saga
from sagadsl.language.schema.secrecy import places


class Signature(Immutable):
    """The declaration of one activity.

    Attributes:
        name: The name that a definition uses.
        package: The package that provides it, e.g. ``acme-pay 1.2.0``.
        description: Its docstring.
        input_schema: JSON Schema of the input; ``None`` accepts anything.
        output_schema: JSON Schema of the output; with ``None`` the output may be anything.
        errors: Error types that it declares; empty when it declares none.
        compensated_by: Name of the activity that undoes it.
        single_argument: The input is one value of the activity's own type; otherwise it is an
            object whose keys are the function's parameters.
        timeouts: Timeouts that the author advises, by Temporal's names, as written.
        examples: Inputs that the author gives as examples.
        idempotent: Whether it does no harm to repeat it with the same key; ``None`` when the author does not say.
    """

    name: str
    package: str
    description: str = ""
    input_schema: Mapping[str, Any] | None = None
    output_schema: Mapping[str, Any] | None = None
    errors: tuple[str, ...] = ()
    compensated_by: str | None = None
    single_argument: bool = True
    timeouts: Mapping[str, str] = field(default_factory=dict)
    examples: tuple[Any, ...] = ()
    idempotent: bool | None = None


class Known(Immutable):
    """What the checks know beside the file.

    Attributes:
        activities: Signatures by name; ``None`` when nobody has looked for them, so that no check can call a name
            unknown.
        sagas: Models of the sagas that may be called as children, by name.
        neighbours: Names of all sagas beside the file; ``None`` when nobody has looked for them.
    """

    activities: Mapping[str, Signature] | None = None
    sagas: Mapping[str, Saga] = field(default_factory=dict)
    neighbours: tuple[str, ...] | None = None

    def signature(self, activity: str) -> Signature | None:
        """Return the signature of an activity; ``None`` when it is not known."""
        return None if self.activities is None else self.activities.get(activity)


class NotedSignatures(Mapping[str, Signature]):
    """Signatures by name, with the names for which somebody has asked.

    It is a class, because the checks take a mapping.
    """

    def __init__(self, signatures: Mapping[str, Signature]) -> None:
        self._signatures = signatures
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Signature:
        self.names.add(name)
        return self._signatures[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._signatures)

    def __len__(self) -> int:
        return len(self._signatures)


def secrets_of(names: Iterable[str], signatures: Mapping[str, Signature]) -> dict[str, dict[str, list[list[str]]]]:
    """Return where the inputs and outputs of activities have secrets; activities without any are left out."""
    marked: dict[str, dict[str, list[list[str]]]] = {}
    for name in sorted(names):
        if (signature := signatures.get(name)) is None:
            continue
        for what, schema in (("input", signature.input_schema), ("output", signature.output_schema)):
            if at := places(schema):
                marked.setdefault(name, {})[what] = [list(place) for place in at]
    return marked
