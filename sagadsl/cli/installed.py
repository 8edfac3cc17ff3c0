"""The installed activities for checks of definitions, imported one by one when a definition names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sagadsl.language.analysis.known import Signature
from sagadsl.plugins.catalogue import Catalogue
from sagadsl.plugins.problems import PluginUnknown, Problem


class Installed(Mapping[str, Signature]):
    """Signatures by name. An activity is imported only when somebody asks for its name.

    It is a class, because the language takes a mapping, and this mapping must not be filled in advance.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self._found: dict[str, Signature | Problem] = {}

    @property
    def problems(self) -> dict[str, Problem]:
        """The activities that were asked for and are installed, but do not work, by name."""
        return {name: found for name, found in self._found.items() if not isinstance(found, Signature | PluginUnknown)}

    @property
    def unknown(self) -> dict[str, PluginUnknown]:
        """The activities that were asked for and that nobody offers, by name."""
        return {name: found for name, found in self._found.items() if isinstance(found, PluginUnknown)}

    def __getitem__(self, name: str) -> Signature:
        if name not in self._found:
            self._found[name] = self.catalogue.signature(name)
        found = self._found[name]
        if isinstance(found, Signature):
            return found
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.catalogue.names)

    def __len__(self) -> int:
        return len(self.catalogue.names)
