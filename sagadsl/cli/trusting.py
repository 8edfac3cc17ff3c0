"""The options that say which definitions a command trusts, and the signatures that lie beside files."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sagadsl.cli.options import with_options

if TYPE_CHECKING:
    from sagadsl.language.loaded import Loaded
    from sagadsl.trust.judge import Trust
    from sagadsl.trust.signatures import SignedFile

R = TypeVar("R")

_OPTIONS = (
    click.option(
        "--trusted-key",
        multiple=True,
        metavar="FILE",
        help="Take only definitions that the owner of this public key has signed; may be repeated.",
    ),
    click.option(
        "--allow-digest",
        multiple=True,
        metavar="SHA256",
        help="Take the definition with this digest, signed or not, and no other unsigned one; may be repeated.",
    ),
)


def trusting(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options about trust; the command gets a ``Trust`` as ``trust``, or ``None`` when it takes everything."""

    @functools.wraps(command)
    def collected(**values: Any) -> R:
        return command(trust=_trust(values.pop("trusted_key"), values.pop("allow_digest")), **values)

    return with_options(collected, _OPTIONS)


def project_trust() -> Trust | None:
    """Return what `[trust]` of the project says, for a command without the options."""
    return _trust((), ())


def _trust(keys: tuple[str, ...], digests: tuple[str, ...]) -> Trust | None:
    from sagadsl.plugins.settings import table_of

    if not keys and not digests and "trust" not in table_of(Path.cwd())[0]:
        return None
    from sagadsl.trust.setting import NoDigest, trust_of

    try:
        return trust_of(keys, digests)
    except NoDigest as wrong:
        raise click.UsageError(f"`--allow-digest`: {wrong}") from None


def signed_in(found: Iterable[Loaded], trust: Trust | None) -> Mapping[str, Mapping[str, str]]:
    """Do the same as ``signatures_in``, and raise ``Untrusted`` if *trust* does not take one of the definitions."""
    loaded = tuple(found)
    files, signatures = signed_files_of(loaded)
    if trust is not None:
        trust.check((each.definition for each in loaded), signatures, (files[each.document.name] for each in loaded))
    return signatures


def signatures_in(found: Iterable[Loaded]) -> Mapping[str, Mapping[str, str]]:
    """Return the signatures that lie beside the files of definitions. Raises ``SignaturesUnreadable``."""
    return signed_files_of(found)[1]


def signed_files_of(found: Iterable[Loaded]) -> tuple[Mapping[str, SignedFile], Mapping[str, Mapping[str, str]]]:
    """Return the files of definitions by name, and all signatures that lie beside them, by digest and key."""
    from sagadsl.trust.signatures import by_digest, signed_files

    files = signed_files(each.document.name for each in found)
    return files, by_digest(each for file in files.values() for each in file.signatures)
