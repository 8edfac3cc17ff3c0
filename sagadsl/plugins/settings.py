"""The project's own settings: ``sagadsl.toml``, or ``[tool.sagadsl]`` of ``pyproject.toml``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.later import compiled_later

_KEYS = ("modules", "plugins", "connection", "encryption", "storage", "telemetry", "trust", "worker")
_NO_WORDS: Mapping[str, str] = MappingProxyType({})
_PLACE = compiled_later(r"at line (\d+),")
_WORD = compiled_later(r"\"[^\"]*\"|'[^']*'|(?!true\b|false\b)[A-Za-z_][\w.:/-]*")
_OF_PLUGINS = ("allow", "deny")


class SettingsWrong(SagadslError):
    """The project's settings cannot be read."""

    code: ClassVar[str] = "SD913"
    exit_code: ClassVar[int] = 2

    def __init__(self, file: str, reason: str, remedy: str = "") -> None:
        super().__init__(file, reason, remedy)
        self.file, self.reason, self.remedy = file, reason, remedy

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"

    @property
    def help(self) -> str:
        return self.remedy


class PluginSettings(Immutable):
    """The project's settings about plugins.

    Attributes:
        modules: Local modules with activities, without packaging.
        allow: Distributions whose plugins may be loaded; ``None`` allows all. Ours are always allowed.
        deny: Distributions whose plugins are ignored.
    """

    modules: tuple[str, ...] = ()
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] = ()


def read_settings(folder: Path) -> PluginSettings:
    """Return the settings of *folder*: ``sagadsl.toml``, else ``[tool.sagadsl]`` of ``pyproject.toml``.

    Raises :class:`SettingsWrong`.
    """
    table, file = table_of(folder)
    return _settings(table, file) if table else PluginSettings()


def table_of(folder: Path) -> tuple[dict[str, Any], str]:
    """Return the whole table of settings, and the file that has it; empty without one. Raises ``SettingsWrong``."""
    for name, keys in (("sagadsl.toml", ()), ("pyproject.toml", ("tool", "sagadsl"))):
        try:
            text = (folder / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsWrong(name, str(error)) from None
        table = _parsed(text, name)
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        if table and not isinstance(table, dict):
            raise SettingsWrong(name, "`tool.sagadsl` is a table")
        if table:
            _check_keys(table, name)
            return table, name
    return {}, ""


def above(folder: Path) -> Path | None:
    """Return the nearest file of settings in a folder above *folder*, where commands in *folder* do not read it."""
    for parent in folder.absolute().parents:
        try:
            if table_of(parent)[0]:
                own = parent / "sagadsl.toml"
                return own if own.is_file() else parent / "pyproject.toml"
        except SettingsWrong:  # somebody else's: whoever works there is told
            continue
    return None


def _check_keys(table: dict[str, Any], file: str) -> None:
    for key in table:
        if key in _KEYS:
            continue
        raise SettingsWrong(file, f"unknown key `{key}`", _meant(key))


def _meant(key: str) -> str:
    return f"`{key}` belongs into `[plugins]`" if key in _OF_PLUGINS else key_meant(key, _KEYS)


def key_meant(key: str, known: Iterable[str], otherwise: str = "", also: Mapping[str, str] = _NO_WORDS) -> str:
    """Return which of the *known* keys of a table was probably meant; else *otherwise*, or which ones there are.

    Args:
        also: Other words for some of the keys, as other tables and tools have them.
    """
    from difflib import get_close_matches  # noqa: PLC0415 # only a mistake needs it; authors import no more than this

    names = list(known)
    if near := get_close_matches(key.casefold(), [*names, *also], 1, 0.75):
        return f"did you mean `{also.get(near[0], near[0])}`?"
    return otherwise or f"there are {', '.join(f'`{name}`' for name in names)}"


def _parsed(text: str, file: str) -> Any:
    import tomllib  # noqa: PLC0415 # 3 ms that a folder without settings need not pay

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsWrong(file, str(error), _quoted(text, str(error))) from None


def _quoted(text: str, error: str) -> str:
    """Return the line of the mistake with quotes around its words, if it is one for lack of them."""
    place, lines = _PLACE.search(error), text.splitlines()
    if "Invalid value" not in error or place is None or int(place[1]) > len(lines):
        return ""
    key, _, value = lines[int(place[1]) - 1].partition("=")
    bare = _WORD.sub(lambda found: found[0] if found[0][0] in "\"'" else f'"{found[0]}"', value)
    return f"text stands between quotes: `{key.strip()} = {bare.strip()}`" if bare != value else ""


def _settings(table: dict[str, Any], file: str) -> PluginSettings:
    plugins = table.get("plugins", {})
    if not isinstance(plugins, dict):
        raise SettingsWrong(file, "`plugins` of sagadsl is a table with `allow` and `deny`")
    for key in plugins:
        if key not in _OF_PLUGINS:
            help = key_meant(key, _OF_PLUGINS, "it has `allow` and `deny`")
            raise SettingsWrong(file, f"unknown key `{key}` in `plugins`", help)
    modules = _names(table.get("modules", []), "modules", file)
    allow = None if "allow" not in plugins else _names(plugins["allow"], "plugins.allow", file)
    return PluginSettings(modules, allow, _names(plugins.get("deny", []), "plugins.deny", file))


def _names(value: Any, key: str, file: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SettingsWrong(file, f"`{key}` is a list of names, found `{value}`")
    return tuple(value)
