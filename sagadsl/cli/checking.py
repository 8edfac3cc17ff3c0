"""Checks definitions for `validate`: only those that have changed, and many of them on all cores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import NamedTuple

from sagadsl.cli.definitions import Definitions, Found, load_found, reported
from sagadsl.cli.files import STDIN, find
from sagadsl.cli.installed import Installed
from sagadsl.cli.kept_checks import KeptChecks
from sagadsl.immutable import replace
from sagadsl.language.document import Document
from sagadsl.language.loaded import Address, Loaded
from sagadsl.plugins.cache import Cache
from sagadsl.plugins.catalogue import Catalogue

_MANY = 64
"""A process of its own takes a tenth of a second until it checks its first file; so many files take as long."""


class _Part(NamedTuple):
    paths: tuple[Path, ...]
    plugins: bool
    modules: tuple[str, ...]


class _Done(NamedTuple):
    loaded: tuple[Loaded, ...]
    broken: tuple[str, ...]


def check(paths: Sequence[str], *, plugins: bool, modules: Sequence[str] = (), stdin_filename: str = "") -> Definitions:
    """Check everything that *paths* name.

    Of a file without a finding, the result has only its name and its size.
    """
    cache = Cache.open()
    installed = Installed(Catalogue.discover(modules, cache=cache)) if plugins else None
    found = find(paths)
    files = _files(found)
    if files is None:
        return reported(found, load_found(found, installed, stdin_filename), installed, libraries=True)
    kept = KeptChecks(cache, installed)
    unchanged = {path: sagas for path in files if (sagas := kept.unchanged(path)) is not None}
    rest = [path for path in files if path not in unchanged]
    checked = _checked(rest, installed, tuple(modules))
    kept.keep(checked)
    return reported(
        found, chain.from_iterable((unchanged | checked)[path] for path in files), installed, libraries=True
    )


def _files(found: Found) -> list[Path] | None:
    """Return the files among what was found; ``None`` if it is about a text, or about one saga of a file."""
    files = [each for each in found if isinstance(each, Path)]
    return None if STDIN in found or any(Address.of(each).saga is not None for each in files) else files


def _checked(
    paths: Sequence[Path], installed: Installed | None, modules: tuple[str, ...]
) -> dict[Path, Sequence[Loaded]]:
    if not paths:
        return {}
    sagas: dict[str, list[Loaded]] = {str(path): [] for path in paths}
    jobs = len(paths) // _MANY
    if jobs > 1:
        from sagadsl.processes import in_order, usual_jobs

        jobs = min(usual_jobs(), jobs)
    if jobs <= 1:
        loaded = load_found(paths, installed)
    else:
        edges = [len(paths) * index // jobs for index in range(jobs + 1)]  # neighbours read the same libraries
        parts = [_Part(tuple(paths[low:high]), installed is not None, modules) for low, high in pairwise(edges)]
        loaded = []
        for done in in_order(_part, parts, jobs):
            loaded += done.loaded
            for name in done.broken:
                assert installed is not None
                installed.get(name)  # its problem is this process's, too, with the stack for its author
    for each in loaded:
        sagas[each.document.name].append(each)
    return {path: sagas[str(path)] for path in paths}


def _part(part: _Part) -> _Done:
    installed = Installed(Catalogue.discover(part.modules, cache=Cache.open())) if part.plugins else None
    loaded = load_found(part.paths, installed)
    return _Done(tuple(map(_light, loaded)), () if installed is None else tuple(installed.problems))


def _light(loaded: Loaded) -> Loaded:
    """Return what a report needs: of a file without a finding only its name."""
    document = loaded.document if loaded.findings else Document(loaded.document.name, "")
    return replace(loaded, document=document, saga=None, draft=None)
