"""The search attributes by which sagas are found. A run sets them only if the server has them registered:
a workflow that sets an unknown attribute is blocked for ever (measured)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from sagadsl.language.model import Saga

SAGA_NAME = SearchAttributeKey.for_keyword("SagaName")
SAGA_VERSION = SearchAttributeKey.for_keyword("SagaVersion")
SAGA_STATUS = SearchAttributeKey.for_keyword("SagaStatus")
"""A saga sets it when it first needs an operator (paused, failed), or says no (rejected), and keeps it up to date from
then on. For a saga without it, Temporal's own status is right: running, completed, canceled, or failed and undone."""


def at_start(saga: Saga) -> TypedSearchAttributes:
    """Return the attributes with which every saga is started."""
    return TypedSearchAttributes(
        [SearchAttributePair(SAGA_NAME, saga.name), SearchAttributePair(SAGA_VERSION, saga.version)]
    )


def to_set(saga: Saga) -> list[SearchAttributeUpdate[str]]:
    """Return the same attributes for a saga that sets them itself."""
    return [SAGA_NAME.value_set(saga.name), SAGA_VERSION.value_set(saga.version)]


TYPES: Mapping[str, str] = {
    "keyword": "Keyword",
    "text": "Text",
    "int": "Int",
    "double": "Double",
    "bool": "Bool",
    "datetime": "Datetime",
    "keyword_list": "KeywordList",
}
"""The types of search attributes: the words of definitions, and those of the server's tools."""


def key_of(name: str, type_: str) -> SearchAttributeKey[Any]:
    """Return the key of a search attribute of a definition."""
    makers: dict[str, Callable[[str], SearchAttributeKey[Any]]] = {
        "keyword": SearchAttributeKey.for_keyword,
        "text": SearchAttributeKey.for_text,
        "int": SearchAttributeKey.for_int,
        "double": SearchAttributeKey.for_float,
        "bool": SearchAttributeKey.for_bool,
        "datetime": SearchAttributeKey.for_datetime,
        "keyword_list": SearchAttributeKey.for_keyword_list,
    }
    return makers[type_](name)


def used(definition: Mapping[str, Any], children: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the search attributes of a definition and its children with their types; of two types the first counts."""
    found: dict[str, str] = {}
    for each in (definition, *children.values()):
        said = each.get("search_attributes")
        for name, attribute in said.items() if isinstance(said, Mapping) else ():
            if isinstance(attribute, Mapping) and attribute.get("type") in TYPES:
                found.setdefault(name, str(attribute["type"]))
    return found
