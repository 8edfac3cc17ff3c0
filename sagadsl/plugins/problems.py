"""What can be wrong with the activities of other packages. A problem is an error, and a value until it is raised."""

from __future__ import annotations

from typing import ClassVar

from sagadsl.errors import SagadslError
from sagadsl.immutable import Immutable
from sagadsl.language.suggest import listed
from sagadsl.plugins.isolation import Left
from sagadsl.plugins.texts import described, text_of


class PluginBroken(SagadslError):
    """An activity, or a module of activities, cannot be imported or used.

    Attributes:
        place: File and line in the author's code where the error was raised; empty if unknown.
    """

    code: ClassVar[str] = "SD910"
    exit_code: ClassVar[int] = 3

    def __init__(self, name: str, package: str, reason: BaseException, place: str = "") -> None:
        super().__init__(name, package, reason, place)
        self.name, self.package, self.reason, self.place = name, package, reason, place

    @property
    def is_a_module(self) -> bool:
        """Whether it is a local module, and not an activity."""
        return self.package == f"module {self.name}"

    def __str__(self) -> str:
        if isinstance(self.reason, NoSuchModule):
            return str(self.reason)
        is_plain = isinstance(self.reason, ModuleNotFoundError | PluginNeedsExtra | Left)
        cause = text_of(self.reason) if is_plain else described(self.reason)
        if isinstance(self.reason, SyntaxError) and self.place:
            cause = f"{type(self.reason).__name__}: {self.reason.msg}"  # its text repeats the place
        if self.place and not isinstance(self.reason, PluginNeedsExtra):  # a missing package is nobody's line
            cause += f" ({self.place})"
        if self.is_a_module:
            return f"module `{self.name}` cannot be used: {cause}"
        return f"activity `{self.name}` of {self.package} cannot be used: {cause}"

    @property
    def help(self) -> str:
        if isinstance(self.reason, PluginNeedsExtra):
            return f"run `{self.reason.command}`"
        if isinstance(self.reason, NoSuchModule):
            return self.reason.remedy
        if self.package.startswith("module "):
            return "repair the module, or leave it out"
        return "repair or uninstall the package; `sagadsl plugins` lists what works"


class NoSuchModule(ModuleNotFoundError):
    """A local module that somebody has named is not there; *remedy* says what was meant, or what to do."""

    def __init__(self, module: str, remedy: str) -> None:
        super().__init__(module, remedy)
        self.module, self.remedy = module, remedy

    def __str__(self) -> str:
        return f"there is no module `{self.module}`"


class PluginNeedsExtra(ImportError):
    """Raised by a module whose optional dependency is missing; *command* installs it."""

    def __init__(self, what: str, command: str) -> None:
        super().__init__(what, command)
        self.command = command

    def __str__(self) -> str:
        return f"{self.args[0]} is not installed; run `{self.command}`"


def needs_extra(problem: SagadslError) -> bool:
    """Whether a problem is only an extra that is not installed: nobody installs every extra."""
    return isinstance(getattr(problem, "reason", None), PluginNeedsExtra)


class PluginConflict(SagadslError):
    """Several packages offer one name; none of them wins."""

    code: ClassVar[str] = "SD911"
    exit_code: ClassVar[int] = 3

    def __init__(self, name: str, owners: tuple[str, ...]) -> None:
        super().__init__(name, owners)
        self.name, self.owners = name, owners

    def __str__(self) -> str:
        return f"activity `{self.name}` is offered by {' and by '.join(self.owners)}"

    @property
    def help(self) -> str:
        return (
            'leave one out, e.g. `deny = ["<package>"]` under `[tool.sagadsl.plugins]` in pyproject.toml, '
            "or give one of them another name"
        )


class PluginUnknown(SagadslError):
    """No installed package and no local module offers this name.

    Attributes:
        modules: The local modules that were asked.
    """

    code: ClassVar[str] = "SD912"
    exit_code: ClassVar[int] = 3

    def __init__(
        self,
        name: str,
        known: tuple[str, ...],
        meant: str | None = None,
        note: str = "",
        modules: tuple[str, ...] = (),
    ) -> None:
        super().__init__(name, known, meant, note, modules)
        self.name, self.known, self.meant, self.note, self.modules = name, known, meant, note, modules

    @property
    def is_left_out(self) -> bool:
        """Whether a package that is installed offers it, and the settings leave that package out."""
        return bool(self.note)

    def __str__(self) -> str:
        return f"no activity named `{self.name}` is installed" + (f"; {self.note}" if self.note else "")

    @property
    def help(self) -> str:
        if self.is_left_out:
            return f"{self.note}: change `allow` or `deny` of `[plugins]` in `sagadsl.toml`"
        if self.meant is None:
            return f"installed: {listed(self.known)}"
        return f"did you mean `{self.meant}`?" + (self._renamed if self.is_without_prefix else "")

    @property
    def is_without_prefix(self) -> bool:
        """Whether a function of a local module is meant whose name lacks only what stands before the dot."""
        return bool(self.modules and self.meant and self.name.endswith(f".{self.meant}"))

    @property
    def _renamed(self) -> str:
        return f' `@activity(name="{self.name}")` gives the function this name'


class Told(Immutable):
    """A problem of an activity or of a module, as another process has told it.

    Attributes:
        name: The activity, the group of activities, or the module.
        is_a_module: It is a local module, whose activities are not known then.
    """

    name: str
    code: str
    message: str
    help: str
    is_a_module: bool

    def __str__(self) -> str:
        return self.message


Problem = PluginBroken | PluginConflict | PluginUnknown
