"""What is read of outputs whose activities declare no fields: a misspelt field in it shows only when the saga runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagadsl.language.analysis.known import Signature
from sagadsl.language.calls import ActivityCall
from sagadsl.language.model import Saga
from sagadsl.language.walk import sites


def unchecked(saga: Saga, activities: Mapping[str, Signature]) -> tuple[str, ...]:
    """Return one clause for each such field, in the order of the file."""
    return tuple(dict.fromkeys(_clauses(saga, activities)))


def _clauses(saga: Saga, activities: Mapping[str, Signature]) -> Iterator[str]:
    for site in sites(saga):
        for read in site.value.reads:
            if (
                len(read) < 4
                or read[0] != "steps"
                or read[2] != "output"
                or (place := saga.places.get(read[1])) is None
            ):
                continue
            call = place.step.body
            if isinstance(call, ActivityCall) and call.operation is None and place.step.output is None:
                for name in call.names:
                    if (signature := activities.get(name)) is not None and not _declares(signature.output_schema):
                        yield f"`{'.'.join(read[:4])}` is not checked: `{name}` declares no fields of its output"


def _declares(schema: Mapping[str, object] | None) -> bool:
    """Whether a type says which fields there are, or is none that has fields."""
    return schema is not None and (schema.get("type") != "object" or bool(schema.get("properties")))
