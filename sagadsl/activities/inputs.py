"""What the inputs of the built-in calls have in common: durations, and names of secrets in place of their values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from sagadsl.activities.reach import may_go, secret
from sagadsl.authoring import Context
from sagadsl.language.expressions.secrets import SECRET, Named
from sagadsl.language.notation.durations import FORMAT, PATTERN, parse

Duration = Annotated[
    str,
    AfterValidator(lambda text: parse(text) and text),
    # Only in the schema: the pattern looks ahead, which pydantic's own regular expressions cannot.
    WithJsonSchema({"type": "string", "pattern": PATTERN, "format": FORMAT}),
]


class Secret(BaseModel):
    """The name of a secret, instead of its value."""

    model_config = ConfigDict(extra="forbid")
    secret: Annotated[str, Field(description="Name of an environment variable of the worker")]


class Secrets:
    """Puts secrets in the place of their names, and remembers them.

    Attributes:
        used: The values that were put in, so that replies and errors can be cleaned of them.
    """

    def __init__(self, context: Context) -> None:
        self._named = Named(context.secrets, context.secrets_host, context.secrets_hosts)
        self.used: list[str] = []

    def filled(self, value: str | Secret, place: str, url: str, address: str = "url") -> str:
        """Return a text with its secrets put in. Raises ``Permanent`` unless they may go to *url*.

        Args:
            place: Where in the input the text stands.
            address: Where in the input *url* stands.
        """

        def looked_up(match: re.Match[str]) -> str:
            self.used.append(secret(match[1], url, place, self._named, address))
            return self.used[-1]

        return SECRET.sub(looked_up, written(value))

    def may_go(self, value: str | Secret, url: str, address: str = "url") -> None:
        """Raise ``Permanent`` unless every secret that *value* names may go to *url*, which may get what it buys."""
        for name in SECRET.findall(written(value)):
            may_go(name, url, self._named, address)


def written(value: str | Secret) -> str:
    """Return a value as text, in which secrets have their names."""
    return f"${{secret:{value.secret}}}" if isinstance(value, Secret) else value


def clean(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret blotted out."""
    for each in secrets:
        text = text.replace(each, "***")
    return text


def clean_data(data: Any, secrets: Iterable[str]) -> Any:
    """Return JSON with every secret blotted out."""
    match data:
        case str():
            return clean(data, secrets)
        case dict():
            return {clean(key, secrets): clean_data(value, secrets) for key, value in data.items()}
        case list():
            return [clean_data(each, secrets) for each in data]
    return data
