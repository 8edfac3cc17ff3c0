"""Activities: found without importing them, imported one at a time, never last-wins.

It knows nothing of Temporal or definitions. A mistake in somebody else's package is a value here
(a :class:`Problem`), because it matters only to a user of that activity, or of the whole list.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from sagadsl.immutable import Immutable
from sagadsl.language.analysis.known import Signature
from sagadsl.language.suggest import closest
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.decorators import is_activity, members_of, own_name, plain_definition, spec_of, whereabouts
from sagadsl.plugins.isolation import contained, place_in, place_of
from sagadsl.plugins.local import is_there, meant_by, modules_in
from sagadsl.plugins.offers import GROUP, Offer, find_offers, normal, remembered
from sagadsl.plugins.problems import NoSuchModule, PluginBroken, PluginConflict, PluginUnknown, Problem
from sagadsl.plugins.settings import PluginSettings, read_settings

if TYPE_CHECKING:
    from importlib.metadata import Distribution

    from sagadsl.authoring import Spec

_OURS = "sagadsl"


class Plugin(Immutable):
    """One activity, imported.

    Attributes:
        name: The name that definitions use.
        package: The package that provides it.
        function: The function to call, or a method of its object.
        spec: The arguments of its decorator.
        plain: It is a plain Temporal activity (``@temporalio.activity.defn``).
    """

    name: str
    package: str
    function: Callable[..., Any]
    spec: Spec
    plain: bool


class Catalogue:
    """The activities of this machine, by name. It imports an activity only when somebody asks for it.

    It keeps each imported object, so that an object with state exists once in a process.
    It never keeps a failure.
    """

    def __init__(
        self,
        offers: Iterable[Offer] = (),
        modules: Iterable[str] = (),
        hidden: Iterable[Offer] = (),
        folder: str = "",
        cache: Cache | None = None,
    ) -> None:
        self.offers = tuple(offers)
        self.modules = tuple(dict.fromkeys(modules))
        self._hidden = tuple(hidden)
        self._folder = folder
        self._cache = cache
        self._objects: dict[str, Any] = {}
        self._members: dict[str, dict[str, Callable[..., Any]]] = {}
        self._broken: dict[str, PluginBroken] = {}

    @classmethod
    def discover(
        cls,
        modules: Iterable[str] = (),
        *,
        folder: Path | None = None,
        installed: Iterable[Distribution] | None = None,
        cache: Cache | None = None,
        lenient: bool = False,
    ) -> Catalogue:
        """Find the installed packages, the local *modules*, and the modules in the folder's settings.

        Raises ``PluginBroken`` for one of *modules* that is not there: who names it wants it, whatever is needed of it.

        Args:
            folder: Where settings and local modules are; the current folder if left out.
            installed: For tests; every distribution on the path if left out.
            cache: Where to look first for offers and signatures, and where to keep them.
            lenient: A module that is not there is a problem like others, for whom needs something of it.
        """
        modules = tuple(modules)
        home = Path.cwd() if folder is None else folder
        settings = read_settings(home)
        offers: list[Offer] = []
        hidden: list[Offer] = []
        for offer in find_offers(installed) if cache is None else remembered(cache):
            (offers if is_permitted(offer.distribution, settings) else hidden).append(offer)
        found = cls(offers, (*settings.modules, *modules), hidden, str(home), cache)
        for module in () if lenient else modules:
            if not is_there(module, home) and (missing := found._missing(module)) is not None:
                raise missing
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """All usable names that are known without further imports, sorted."""
        groups = {offer.name for offer in self.offers if _key(offer) in self._members}
        names = {offer.name for offer in self.offers} - groups
        return tuple(sorted(names | {name for name, _, _ in self._loaded_members()}))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The conflicts and broken packages found so far; after :meth:`load_all`, all of them."""
        owners: dict[str, set[str]] = {}
        for offer in self.offers:
            if _key(offer) not in self._members:
                owners.setdefault(offer.name, set()).add(_owner(offer))
        for name, owner, _ in self._loaded_members():
            owners.setdefault(name, set()).add(owner)
        candidates = sorted(name for name, who in owners.items() if len(who) > 1)
        conflicts = [found for name in candidates if isinstance(found := self._load(name, again=False), PluginConflict)]
        return (*conflicts, *(self._broken[key] for key in sorted(self._broken)))

    def load(self, name: str) -> Plugin | Problem:
        """Import the activity *name*, and nothing else of its group."""
        return self._load(name, again=True)

    def _load(self, name: str, *, again: bool) -> Plugin | Problem:
        """Return the activity *name*; with *again*, retry an import that has failed before."""
        exact = [offer for offer in self.offers if offer.name == name]
        if len(exact) > 1:
            return PluginConflict(name, tuple(_owner(offer) for offer in exact))
        found: dict[int, Plugin] = {}
        broken: list[PluginBroken] = []
        for offer in exact:
            target = self._import(offer, again=again)
            if isinstance(target, PluginBroken):
                broken.append(target)
            elif _key(offer) not in self._members:
                found[_identity(target)] = _plugin(name, offer.package, target)
        for owner, members in self._groups_of(name, broken, again=again):
            if name in members and _identity(members[name]) not in found:
                found[_identity(members[name])] = _plugin(name, owner, members[name])
        if len(found) > 1:
            return PluginConflict(
                name, tuple(f"{each.package} ({whereabouts(each.function)})" for each in found.values())
            )
        if found:
            return next(iter(found.values()))
        return broken[0] if broken else self._unknown(name)

    def load_all(self) -> tuple[Plugin, ...]:
        """Import everything; :attr:`problems` has what does not work."""
        for offer in self.offers:
            self._import(offer)
        for module in self.modules:
            self._import_module(module)
        loaded = (self._load(name, again=False) for name in self.names)
        return tuple(each for each in loaded if isinstance(each, Plugin))

    def signature(self, name: str) -> Signature | Problem:
        """Return the types of the activity *name*."""
        offer = self._sole_offer(name)
        if self._cache is None or offer is None or _key(offer) in self._objects:
            return self._signature(name)
        return cast("Signature | Problem", self._cache.signature(_key(offer), lambda: self._signature(name)))

    def lacks(self, name: str) -> bool:
        """Whether no package can offer the activity *name*, as far as that is clear without an import."""
        return not self.modules and not any(
            name == offer.name or name.startswith(f"{offer.name}.") for offer in self.offers
        )

    def _sole_offer(self, name: str) -> Offer | None:
        """Return the only offer that *name* can mean, as far as that is clear without an import."""
        exact = [offer for offer in self.offers if offer.name == name]
        grouped = any(name.startswith(f"{offer.name}.") for offer in self.offers)
        return exact[0] if len(exact) == 1 and not grouped and not self.modules else None

    def _signature(self, name: str) -> Signature | Problem:
        plugin = self.load(name)
        if not isinstance(plugin, Plugin):
            return plugin
        try:
            with contained():
                return signature_of(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # somebody else's types: their hooks run here
            return broken_types(plugin, error)

    def _import(self, offer: Offer, *, again: bool = True) -> Any:
        """Return the object that *offer* points at, or a :class:`PluginBroken`."""
        key = _key(offer)
        if key in self._objects:
            return self._objects[key]
        if not again and key in self._broken:
            return self._broken[key]
        from importlib.metadata import EntryPoint  # noqa: PLC0415 # 25 ms that who imports nothing need not pay

        try:
            importlib.invalidate_caches()  # find packages that were installed a moment ago
            with contained():
                target = EntryPoint(offer.name, offer.value, GROUP).load()
                if isinstance(target, type):
                    target = target()
                members = None if is_activity(target) else members_of(target, f"{offer.name}.")
            if members is not None:
                if members:
                    self._members[key] = members
                elif isinstance(target, ModuleType) or not callable(target):
                    raise TypeError(f"`{offer.value}` holds no function with @activity")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # somebody else's module: anything can happen at import
            self._broken[key] = PluginBroken(offer.name, offer.package, error, place_in(error, offer.value))
            return self._broken[key]
        self._broken.pop(key, None)
        self._objects[key] = target
        return target

    def _import_module(self, module: str, *, again: bool = True) -> dict[str, Callable[..., Any]] | PluginBroken:
        key = f"module {module}"
        if key in self._members:
            return self._members[key]
        if not again and key in self._broken:
            return self._broken[key]
        if self._folder and self._folder not in sys.path:
            sys.path.insert(0, self._folder)
        try:
            importlib.invalidate_caches()
            with contained():
                members = members_of(importlib.import_module(module), "")
            if not members:
                inner = modules_in(sys.modules[module])
                raise TypeError(f"`{module}` holds no function with @activity{inner}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 # the user's module: anything can happen at import
            self._broken[key] = self._module_broken(module, key, error)
            return self._broken[key]
        self._broken.pop(key, None)
        self._members[key] = members
        return members

    def _missing(self, module: str) -> PluginBroken | None:
        tried = self._import_module(module)
        return tried if isinstance(tried, PluginBroken) and isinstance(tried.reason, NoSuchModule) else None

    def _module_broken(self, module: str, key: str, error: BaseException) -> PluginBroken:
        is_a_path = "/" in module or module.endswith(".py")
        is_missing = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        if is_a_path or is_missing:
            return PluginBroken(module, key, NoSuchModule(module, meant_by(module, Path(self._folder))))
        return PluginBroken(module, key, error, place_in(error, module))

    def _groups_of(
        self, name: str, broken: list[PluginBroken], *, again: bool
    ) -> Iterator[tuple[str, Mapping[str, Callable[..., Any]]]]:
        """Yield the groups that may contain *name*: classes and modules with its prefix, and local modules."""
        for offer in self.offers:
            if not name.startswith(f"{offer.name}."):
                continue
            target = self._import(offer, again=again)
            if isinstance(target, PluginBroken):
                broken.append(target)
            elif _key(offer) in self._members:
                yield offer.package, self._members[_key(offer)]
        for module in self.modules:
            members = self._import_module(module, again=again)
            if isinstance(members, PluginBroken):
                broken.append(members)
            else:
                yield f"module {module}", members

    def _loaded_members(self) -> Iterator[tuple[str, str, Callable[..., Any]]]:
        for key in sorted(self._members):
            for name, function in self._members[key].items():
                yield name, key, function

    def _unknown(self, name: str) -> PluginUnknown:
        """Return the error, with a suggestion. It imports the rest, since *name* may be a function's own name."""
        hidden = next(
            (offer for offer in self._hidden if name == offer.name or name.startswith(f"{offer.name}.")), None
        )
        if hidden is not None:
            note = f"{hidden.package} offers it, but the settings leave that package out"
            return PluginUnknown(name, self.names, None, note)
        plugins = self.load_all()
        last = name.rpartition(".")[2]
        own = {own: each.name for each in plugins for own in _own_names(each)}
        members = [each.name for each in plugins if each.name.startswith(f"{name}.")]
        meant = own.get(name) or own.get(last) or (members[0] if members else closest(name, self.names))
        return PluginUnknown(name, self.names, meant, modules=self.modules)


def broken_types(plugin: Plugin, error: BaseException) -> PluginBroken:
    """Return the problem of an activity with unusable types; its place is the function when no frame tells more."""
    module = getattr(plugin.function, "__module__", "") or ""
    place = place_in(error, module)
    code = getattr(inspect.unwrap(plugin.function), "__code__", None)
    if code is not None and (not place or place.partition(":")[0] != place_of(code).partition(":")[0]):
        place = place_of(code)
    return PluginBroken(plugin.name, plugin.package, error, place)


def signature_of(plugin: Plugin) -> Signature:
    """Return the signature of a loaded activity. Raises ``TypeError`` for types that JSON cannot represent."""
    from sagadsl.plugins.signatures import InputReader, Takes, form, output_schema  # noqa: PLC0415 # only who asks for types pays

    shape = form(plugin.function, plain=plugin.plain)
    return Signature(
        name=plugin.name,
        package=plugin.package,
        description=inspect.getdoc(plugin.function) or "",
        input_schema=InputReader(shape).schema,
        output_schema=output_schema(shape),
        errors=plugin.spec.errors,
        compensated_by=plugin.spec.compensated_by,
        single_argument=shape.takes is Takes.WHOLE,
        timeouts=plugin.spec.timeouts,
        examples=plugin.spec.examples,
        idempotent=plugin.spec.idempotent,
    )


def _plugin(name: str, package: str, function: Callable[..., Any]) -> Plugin:
    from sagadsl.authoring import Spec  # noqa: PLC0415 # as in `decorators`

    spec = spec_of(function)
    return Plugin(name, package, function, spec or Spec(), spec is None and plain_definition(function) is not None)


def _own_names(plugin: Plugin) -> set[str]:
    return {own_name(plugin.function), getattr(plugin.function, "__name__", "")} - {""}


def _identity(function: Any) -> int:
    """Return a number that differs for different functions, and is the same for a method that is bound twice."""
    return hash((id(getattr(function, "__func__", function)), id(getattr(function, "__self__", None))))


def _owner(offer: Offer) -> str:
    return f"{offer.package} ({offer.value})"


def _key(offer: Offer) -> str:
    return f"{offer.name} = {offer.value} of {offer.package}"


def is_permitted(distribution: str, settings: PluginSettings) -> bool:
    if distribution in {normal(each) for each in settings.deny}:
        return False
    return settings.allow is None or distribution in {_OURS, *(normal(each) for each in settings.allow)}
