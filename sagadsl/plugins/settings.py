"""The project's own settings: ``sagadsl.toml``, or ``[tool.sagadsl]`` of ``pyproject.toml``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable


class SettingsWrong(SagadslError):
    """The project's settings cannot be read."""

    code: ClassVar[str] = "SD913"
    exit_code: ClassVar[int] = 2

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(file, reason)
        self.file, self.reason = file, reason

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


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
            return table, name
    return {}, ""


def _parsed(text: str, file: str) -> Any:
    import tomllib  # noqa: PLC0415 # 3 ms that a folder without settings need not pay

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsWrong(file, str(error)) from None


def _settings(table: dict[str, Any], file: str) -> PluginSettings:
    plugins = table.get("plugins", {})
    if not isinstance(plugins, dict):
        raise SettingsWrong(file, "`plugins` of sagadsl is a table with `allow` and `deny`")
    for key in plugins:
        if key not in ("allow", "deny"):
            raise SettingsWrong(file, f"unknown key `{key}` in `plugins`; it has `allow` and `deny`")
    modules = _names(table.get("modules", []), "modules", file)
    allow = None if "allow" not in plugins else _names(plugins["allow"], "plugins.allow", file)
    return PluginSettings(modules, allow, _names(plugins.get("deny", []), "plugins.deny", file))


def _names(value: Any, key: str, file: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise SettingsWrong(file, f"`{key}` is a list of names, found `{value}`")
    return tuple(value)
