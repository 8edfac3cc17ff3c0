"""A setting with the place that it comes from, so that a message can name both."""

from __future__ import annotations

from sagadsl.errors import Worded
from sagadsl.immutable import Immutable

DEFAULT = "(built-in default)"


class SettingsUnusable(Worded):
    """A connection setting that is wrong for any server."""

    code = "SD902"
    exit_code = 3


class ShownSetting(Immutable):
    """One value that may be shown, and the flag, variable or file that it comes from."""

    value: str
    origin: str

    @property
    def is_default(self) -> bool:
        return self.origin == DEFAULT
