"""``sagadsl keygen``, ``sign`` and ``verify``: signatures of definitions, which workers may ask for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sagadsl.cli import screen
from sagadsl.cli.definitions import Definitions, load_definitions
from sagadsl.cli.fetched import here
from sagadsl.cli.files import STDIN
from sagadsl.cli.options import common, output
from sagadsl.cli.trusting import signed_files_of, trusting

if TYPE_CHECKING:
    from sagadsl.trust.judge import Trust

_SHOWN = 12
"""Characters of a digest that people get to see, where nobody is to copy it."""
_UNTRUSTED = 1


@click.command(short_help="Make a key that signs definitions.")
@click.argument("keyfile", type=click.Path(path_type=Path))
@output("text", "json")
@common
def keygen(*, keyfile: Path) -> int:
    """Make a key that signs definitions.

    KEYFILE gets the private key, which its owner alone may read; KEYFILE.pub gets the public key,
    for the workers. Both are PEM, as `openssl genpkey -algorithm ed25519` writes it.

    \b
    Example:
      sagadsl keygen release.pem
    """
    from sagadsl.trust.keys import new_key

    public, id_ = new_key(keyfile)
    text = f"key {id_}: {keyfile} signs, and stays secret; {public} is for those who trust it"
    screen.result({"key": id_, "private": str(keyfile), "public": str(public)}, text)
    return 0


@click.command(short_help="Sign definitions, for workers that take no others.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…")
@click.option("--key", required=True, metavar="KEYFILE", help="Private key, as `sagadsl keygen` makes it.")
@output("text", "json")
@common
def sign(*, paths: Sequence[str], key: str) -> int:
    """Sign definitions, for workers that take no others.

    The signatures of FILE go into FILE.sig. They cover what the definitions import and use, and
    do not cover their schedules. What is wrong is not signed; whether the activities exist is not
    looked at. Signatures that others have made of the same definitions stay; those of what the file
    held before are dropped.

    \b
    Examples:
      sagadsl sign definitions/ --key release.pem
      sagadsl worker definitions/ --trusted-key release.pem.pub
    """
    from sagadsl.language.build import ordered_digest
    from sagadsl.trust.keys import key_id, private_key
    from sagadsl.trust.signatures import SignedDigest, beside, read, signed, write

    loaded = _loaded(paths)
    if not loaded.are_usable:
        loaded.show()
        return loaded.exit_code
    secret = private_key(key)
    id_ = key_id(secret.public_key())
    files: dict[str, list[SignedDigest]] = {}
    for each in loaded.files:
        assert each.saga is not None
        saga = each.saga
        order, signature = ordered_digest(each.definition), signed(each.definition, secret)
        made = SignedDigest(saga.name, saga.version, saga.digest, order, id_, signature)
        files.setdefault(each.document.name, []).append(made)
    for file, new in files.items():
        digests = {each.digest for each in new}
        kept = [each for each in read(beside(file)) if each.digest in digests and each.key != id_]
        write(beside(file), [*kept, *new])
    rows = [
        {"saga": each.saga, "version": each.version, "digest": each.digest, "signatures": str(beside(file))}
        for file, new in files.items()
        for each in new
    ]
    lines = [f"{_named(each)}  {each['digest'][:_SHOWN]}  {each['signatures']}" for each in rows]
    screen.result({"key": id_, "signed": rows}, "\n".join(lines))
    screen.note(f"signed by key {id_}")
    return 0


@click.command(short_help="Say who has signed definitions, and which are trusted.")
@click.argument("paths", nargs=-1, required=True, metavar="FILE…")
@trusting
@output("text", "json")
@common
def verify(*, paths: Sequence[str], trust: Trust | None) -> int:
    """Say who has signed definitions, and which are trusted.

    Trusted is what the options name, else `[trust]` of sagadsl.toml; else nothing is.

    Exit code: 0 all are trusted, 1 one is not, or is wrong.

    \b
    Examples:
      sagadsl verify definitions/ --trusted-key release.pem.pub
      sagadsl verify order.saga.yaml --allow-digest 3f1c…
    """
    from sagadsl.trust.judge import Trust

    judge = trust or Trust({})
    loaded = _loaded(here(paths))
    if not loaded.are_usable:
        loaded.show()
        return loaded.exit_code
    files, signatures = signed_files_of(loaded.files)
    rows: list[dict[str, Any]] = []
    for each in loaded.files:
        assert each.saga is not None
        digest = each.saga.digest
        doubt = judge.doubt(each.definition, signatures, files[each.document.name])
        problem = "" if doubt is None else doubt.why
        by = judge.who_signed(each.definition, signatures) if judge.keys else ""
        row = {"saga": each.saga.name, "version": each.saga.version, "digest": digest, "file": each.document.name}
        rows.append(row | {"trusted": not problem, "key": by or None, "problem": problem or None})
    screen.result({"definitions": rows}, "\n".join(map(_verdict, rows)))
    if trust is None:
        screen.note("say what is trusted: `--trusted-key FILE`, `--allow-digest SHA256`, or `[trust]` of sagadsl.toml")
    return 0 if all(each["trusted"] for each in rows) else _UNTRUSTED


def _verdict(row: dict[str, Any]) -> str:
    if not row["trusted"]:
        return f"✗ {_named(row)}  {row['file']}: {row['problem']}"
    why = f"signed by key {row['key']}" if row["key"] else "on the list of allowed digests"
    return f"✓ {_named(row)}  {row['digest']}  {why}"


def _named(row: dict[str, Any]) -> str:
    return f"{row['saga']} {row['version']}".rstrip()


def _loaded(paths: Sequence[str]) -> Definitions:
    if STDIN in paths:
        raise click.UsageError("signatures lie beside files, so `-` has none: name a file")
    return load_definitions(paths)
